#include "model/constants.h"

#include <bit>
#include <string>

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "raw data are copied as they are");

template <typename Field>
void SetList(const Field& values, int32_t type, TensorProto* tensor) {
  tensor->set_data_type(type);
  tensor->add_dims(values.size());
  tensor->set_raw_data(values.data(), static_cast<size_t>(values.size()) * sizeof *values.data());
}

template <typename T>
void SetScalar(T value, int32_t type, TensorProto* tensor) {
  tensor->set_data_type(type);
  tensor->set_raw_data(&value, sizeof value);
}

bool Fill(const AttributeProto& attribute, TensorProto* tensor) {
  const std::string& name = attribute.name();
  if (name == "value") {
    if (!attribute.has_t()) return false;
    *tensor = attribute.t();
  } else if (name == "value_float") {
    SetScalar(attribute.f(), TensorProto::FLOAT, tensor);
  } else if (name == "value_int") {
    SetScalar(attribute.i(), TensorProto::INT64, tensor);
  } else if (name == "value_floats") {
    SetList(attribute.floats(), TensorProto::FLOAT, tensor);
  } else if (name == "value_ints") {
    SetList(attribute.ints(), TensorProto::INT64, tensor);
  } else if (name == "value_string") {
    tensor->set_data_type(TensorProto::STRING);
    tensor->add_string_data(attribute.s());
  } else if (name == "value_strings") {
    tensor->set_data_type(TensorProto::STRING);
    tensor->add_dims(attribute.strings_size());
    for (const std::string& value : attribute.strings()) tensor->add_string_data(value);
  } else {
    return false;
  }
  return true;
}

bool IsConstant(const onnx::NodeProto& node) {
  return node.op_type() == "Constant" && (node.domain().empty() || node.domain() == "ai.onnx");
}

}  // namespace

std::optional<TensorProto> ConstantTensor(const onnx::NodeProto& node) {
  if (!IsConstant(node) || node.output_size() != 1) return std::nullopt;
  for (const AttributeProto& attribute : node.attribute()) {
    TensorProto tensor;
    if (!attribute.ref_attr_name().empty() || !Fill(attribute, &tensor)) continue;
    tensor.set_name(node.output(0));
    return tensor;
  }
  return std::nullopt;
}

bool IsListConstant(const onnx::NodeProto& node) {
  if (!IsConstant(node)) return false;
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.name().starts_with("value_")) return true;
  }
  return false;
}

bool BecomesOperand(int32_t element_type) {
  switch (element_type) {
    case TensorProto::FLOAT:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::DOUBLE:
    case TensorProto::BOOL:
      return true;
    default:
      return false;
  }
}

}  // namespace backendctx::model
