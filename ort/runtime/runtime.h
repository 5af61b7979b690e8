// ONNX Runtime, loaded at run time: the only way in which this project reaches it.
//
// The runtime's one exported symbol carries the exact release in its version, so that a program
// that is linked to one release does not start with another. Opened by path and asked for its API
// by number, any release from 1.23 on serves.
//
//   BCTX_ASSIGN_OR_RETURN(ort::Runtime runtime,
//   ort::Runtime::Open("/usr/lib/libonnxruntime.so.1")); ort::Env env;
//   BCTX_RETURN_IF_ERROR(runtime.Make(runtime.api().CreateEnv, &env, ORT_LOGGING_LEVEL_WARNING,
//   "x"));
//
// Threads: as ONNX Runtime's own. The library stays loaded until the process ends.
#pragma once

#include <string>

#include "runtime/handles.h"

namespace backendctx::ort {

class Runtime {
 public:
  // `path`: the library, or a folder that has one libonnxruntime.so*. Io: it cannot be loaded or is
  // not ONNX Runtime. UnsupportedVersion: older than 1.23.
  static Result<Runtime> Open(const std::string& path);

  const OrtApi& api() const { return *api_; }
  const std::string& version() const { return version_; }  // "1.31.1"

  Status Check(OrtStatus* status) const { return ToStatus(*api_, status); }
  template <typename T, typename Create, typename... Arguments>
  Status Make(Create create, Owned<T>* out, Arguments... arguments) const {
    return ort::Make(*api_, create, out, arguments...);
  }

 private:
  Runtime(const OrtApi* api, std::string version) : api_(api), version_(std::move(version)) {}
  const OrtApi* api_;
  std::string version_;
};

}  // namespace backendctx::ort
