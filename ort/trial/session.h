// One session of a trial: its inputs and outputs by name, and runs of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "trial/tensor.h"

namespace backendctx::ort {

struct SessionSettings {
  std::string model;
  std::string provider;                        // library; "": ONNX Runtime's own CPU provider
  std::map<std::string, std::string> options;  // of the provider
  int threads = 0;                             // 0: as the runtime chooses
};

// What a model declares of an input. A dimension is known, named or neither (-1, "").
struct DeclaredInput {
  std::string name;
  int32_t element_type = 0;
  std::vector<int64_t> dims;
  std::vector<std::string> symbols;
};

class TrialSession {
 public:
  // `env` must outlive the session.
  static Result<TrialSession> Make(const Runtime& runtime, OrtEnv* env,
                                   const SessionSettings& settings);

  // Unimplemented: an input that is no tensor, named.
  Result<std::vector<DeclaredInput>> Inputs() const;
  Result<std::vector<NamedTensor>> Run(const std::vector<NamedTensor>& inputs) const;

 private:
  explicit TrialSession(const Runtime& runtime) : runtime_(runtime) {}
  Status AddProvider(OrtEnv* env, const SessionSettings& settings, OrtSessionOptions* options);
  Result<DeclaredInput> Input(size_t index) const;
  Result<NamedTensor> Copy(const std::string& name, const OrtValue* value) const;

  Runtime runtime_;
  Session session_;
  Owned<OrtMemoryInfo> memory_;
  std::vector<std::string> input_names_, output_names_;
};

}  // namespace backendctx::ort
