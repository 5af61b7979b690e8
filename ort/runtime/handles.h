// ONNX Runtime's C objects as owned values, and its statuses as ours.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>

#include "backendctx/status.h"

namespace backendctx::ort {

// The oldest API that has plug-in providers. By number: newer headers must not raise it.
inline constexpr uint32_t kApiVersion = 23;

struct Releaser {
  const OrtApi* api = nullptr;
  void operator()(OrtStatus* it) const { api->ReleaseStatus(it); }
  void operator()(OrtEnv* it) const { api->ReleaseEnv(it); }
  void operator()(OrtSessionOptions* it) const { api->ReleaseSessionOptions(it); }
  void operator()(OrtSession* it) const { api->ReleaseSession(it); }
  void operator()(OrtValue* it) const { api->ReleaseValue(it); }
  void operator()(OrtMemoryInfo* it) const { api->ReleaseMemoryInfo(it); }
  void operator()(OrtTensorTypeAndShapeInfo* it) const { api->ReleaseTensorTypeAndShapeInfo(it); }
  void operator()(OrtModelMetadata* it) const { api->ReleaseModelMetadata(it); }
  void operator()(OrtKeyValuePairs* it) const { api->ReleaseKeyValuePairs(it); }
  void operator()(OrtExternalInitializerInfo* it) const { api->ReleaseExternalInitializerInfo(it); }
};
template <typename T>
using Owned = std::unique_ptr<T, Releaser>;
using Env = Owned<OrtEnv>;
using SessionOptions = Owned<OrtSessionOptions>;
using Session = Owned<OrtSession>;
using Value = Owned<OrtValue>;

// ONNX Runtime's answer as ours; takes the status over.
Status ToStatus(const OrtApi& api, OrtStatus* status);

// Calls create(arguments..., &object), which is how every object of the C API is made.
template <typename T, typename Create, typename... Arguments>
Status Make(const OrtApi& api, Create create, Owned<T>* out, Arguments... arguments) {
  T* made = nullptr;
  BCTX_RETURN_IF_ERROR(ToStatus(api, create(arguments..., &made)));
  *out = Owned<T>(made, Releaser{&api});
  return OkStatus();
}

}  // namespace backendctx::ort
