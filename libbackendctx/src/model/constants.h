// Constant nodes as tensors. Internal to model.
#pragma once

#include <optional>

#include "onnx/onnx_pb.h"

namespace backendctx::model {

// The tensor of a Constant node, whichever attribute holds it, named after the node's output (in
// stored form when the node is); nothing for other nodes and for sparse values.
std::optional<onnx::TensorProto> ConstantTensor(const onnx::NodeProto& node);
// True when the value is in value_float(s), value_int(s) or value_string(s).
bool IsListConstant(const onnx::NodeProto& node);
// Whether a Constant node of this type, read by a partition, becomes an operand of its call:
// floating point, which converters rewrite, and bool, which may be a mask. Integers (shapes, axes)
// do not.
bool BecomesOperand(int32_t element_type);

}  // namespace backendctx::model
