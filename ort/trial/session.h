// One session of a trial: its inputs and outputs by name, and runs of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/session_parts.h"
#include "trial/tensor.h"

namespace backendctx::ort {

struct SessionSettings {
  std::string model;
  std::string provider;                        // library; "": ONNX Runtime's own CPU provider
  std::map<std::string, std::string> options;  // of the provider
  int threads = 0;                             // 0: as the runtime chooses
};

class TrialSession {
 public:
  // `env` must outlive the session.
  static Result<TrialSession> Make(const Runtime& runtime, OrtEnv* env,
                                   const SessionSettings& settings);

  // Unimplemented: an input that is no tensor, named.
  Result<std::vector<ValueInfo>> Inputs() const;
  Result<std::vector<NamedTensor>> Run(const std::vector<NamedTensor>& inputs) const;

 private:
  explicit TrialSession(const Runtime& runtime) : runtime_(runtime) {}
  Status AddProvider(OrtEnv* env, const SessionSettings& settings, OrtSessionOptions* options);
  Result<NamedTensor> Copy(const std::string& name, const OrtValue* value) const;

  Runtime runtime_;
  Session session_;
  Owned<OrtMemoryInfo> memory_;
  std::vector<ValueInfo> inputs_;
  std::vector<std::string> output_names_;
};

}  // namespace backendctx::ort
