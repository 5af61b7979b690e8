#include "runtime/handles.h"

#include <string>

namespace backendctx::ort {
namespace {

StatusCode MapCode(OrtErrorCode code) {
  switch (code) {
    case ORT_INVALID_ARGUMENT:
      return StatusCode::kInvalidArgument;
    case ORT_NO_SUCHFILE:
      return StatusCode::kIo;
    case ORT_INVALID_PROTOBUF:
    case ORT_INVALID_GRAPH:
      return StatusCode::kMalformed;
    case ORT_NOT_IMPLEMENTED:
      return StatusCode::kUnimplemented;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status ToStatus(const OrtApi& api, OrtStatus* status) {
  if (status == nullptr) return OkStatus();
  const Owned<OrtStatus> owned(status, Releaser{&api});
  return Status(MapCode(api.GetErrorCode(status)),
                std::string("onnxruntime: ") + api.GetErrorMessage(status));
}

}  // namespace backendctx::ort
