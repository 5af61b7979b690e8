// onnx's shape inference on a copy of a model without its weights. Internal to model.
#pragma once

#include "model/graph_view_builder.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// A model with the same graphs, whose value_info hold what could be inferred. Tensors are there as
// far as inference reads them: type, dims, and the elements of those under kInlineLimit. Never
// fails: where onnx throws, the declared types remain.
onnx::ModelProto WithInferredTypes(const onnx::ModelProto& model, const TensorSource& source);

}  // namespace backendctx::model
