// The reference side of a proof: a partition's body, run by ONNX Runtime's own CPU provider.
#pragma once

#include <string>

#include "backendctx/status.h"
#include "proof/proof_file.h"

namespace backendctx::ort {

// Runs `request.blob`, the bytes of an ONNX model, on every case; inputs and outputs in the model's
// order. InvalidArgument when the cases do not fit the model.
Result<proof::Response> RunBody(const std::string& ort_library, const proof::Request& request);

}  // namespace backendctx::ort
