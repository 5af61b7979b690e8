// What every host of this project does with ONNX Runtime's sessions: adding the provider, reading
// what a model declares, tensors from memory and back.
//
// Threads: as ONNX Runtime's own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backendctx/session.h"
#include "runtime/runtime.h"

namespace backendctx::ort {

inline constexpr char kProviderName[] = "BackendContextExecutionProvider";

// Devices of our provider in this environment: none before it is registered.
Result<std::vector<const OrtEpDevice*>> ProviderDevices(const Runtime& runtime, const OrtEnv* env);

// Adds the provider, which was registered, with its options.
Status AppendProvider(const Runtime& runtime, OrtEnv* env,
                      const std::map<std::string, std::string>& settings,
                      OrtSessionOptions* options);

enum class Side { kInputs, kOutputs };
Result<std::vector<ValueInfo>> ReadDeclared(const Runtime& runtime, const OrtSession* session,
                                            Side side);

// Over the memory of `tensor`, which must outlive the value. What is written through the value goes
// there.
Result<Value> MakeTensor(const Runtime& runtime, const OrtMemoryInfo* memory,
                         const TensorView& tensor);

// What a value shows, as long as it lives; the size is left at 0. Unimplemented: it is no tensor.
// `name` is what messages call it.
Result<TensorView> ReadTensor(const Runtime& runtime, const OrtValue* value,
                              const std::string& name);

}  // namespace backendctx::ort
