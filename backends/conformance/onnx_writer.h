// A model of the suite as ONNX bytes, for backends that read those.
#pragma once

#include <string>

#include "conformance/model.h"

namespace backendctx::conformance {

// Serialised ModelProto, in the forms of bctx_graph::onnx. `table_offsets`: of each constant in the
// weight table, in which case it is external data of file `weights`; else its data is inside.
std::string WriteOnnx(const Model& model, bctx_onnx_form form,
                      const std::map<std::string, uint64_t>& table_offsets);

}  // namespace backendctx::conformance
