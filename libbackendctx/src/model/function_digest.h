// The structure digest of a function's body under the operands of one call. Internal to model.
#pragma once

#include <string>
#include <vector>

#include "model/front.h"
#include "model/graph_view.h"
#include "model/graph_view_builder.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// Tensors of a front: what is external is not read, so its digest and bytes stay unknown.
Result<TensorContents> FrontContents(const onnx::TensorProto& tensor);

// `name` as an operand: what is known of the constant, or the type of an activation.
Operand OperandOf(const std::string& name, const GraphView& graph);

// Formals whose operand is a constant become initializers, the others inputs; on that small model
// the one StructureDigest runs that also runs on flat graphs. One operand for each formal;
// `container` is the name of the one that is an embedded container, which is left out.
Result<Digest> FunctionDigest(const onnx::FunctionProto& function,
                              const std::vector<Operand>& operands,
                              const std::string& container = "");

}  // namespace backendctx::model
