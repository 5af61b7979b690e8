// ONNX Runtime's environment with our provider in it, shared by all sessions of a process.
//
// Threads: Acquire and the destructor of what it gives may be called on several threads.
#pragma once

#include <memory>
#include <string>

#include "runtime/runtime.h"

namespace backendctx::ort {

class Host {
 public:
  // `path`: as SessionOptions::runtime. The provider of this object is registered unless somebody
  // has registered it already, and given back when the last one goes.
  static Result<std::shared_ptr<const Host>> Acquire(const std::string& path);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const Runtime& runtime() const { return runtime_; }
  OrtEnv* env() const { return env_; }

 private:
  Host(Runtime runtime, OrtEnv* env) : runtime_(std::move(runtime)), env_(env) {}
  const Runtime runtime_;
  OrtEnv* const env_;
};

}  // namespace backendctx::ort
