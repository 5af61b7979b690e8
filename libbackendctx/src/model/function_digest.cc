#include "model/function_digest.h"

#include <algorithm>

#include "base/bytes.h"
#include "model/structure.h"
#include "model/tensor_bytes.h"

namespace backendctx::model {
namespace {

using onnx::TensorProto;

void AddStrings(const std::string& bytes, TensorProto* tensor) {
  for (size_t at = 0; at + 8 <= bytes.size();) {
    const auto* start = reinterpret_cast<const uint8_t*>(bytes.data() + at);
    const uint64_t size = base::LoadLittle<uint64_t>(start);
    tensor->add_string_data(bytes.substr(at + 8, size));
    at += 8 + size;
  }
}

// Small ones by value; of the others type and shape are all that counts.
void AddConstant(const std::string& formal, const Operand& operand, TensorProto* tensor) {
  tensor->set_name(formal);
  tensor->set_data_type(operand.element_type);
  for (const int64_t dim : operand.dims) tensor->add_dims(dim);
  if (operand.size < kInlineLimit && operand.bytes.size() == operand.size) {
    if (operand.element_type == TensorProto::STRING) {
      AddStrings(operand.bytes, tensor);
    } else {
      tensor->set_raw_data(operand.bytes);
    }
    return;
  }
  tensor->set_data_location(TensorProto::EXTERNAL);
}

}  // namespace

Result<TensorContents> FrontContents(const TensorProto& tensor) {
  if (tensor.data_location() != TensorProto::EXTERNAL) return InlineContents(tensor);
  TensorContents contents;
  if (tensor.data_type() == TensorProto::STRING) {
    contents.size = kInlineLimit;  // a weight: AddConstant has it so, and no file holds strings
  } else {
    BCTX_ASSIGN_OR_RETURN(contents.size, DecodedSize(tensor));
  }
  contents.digest.assign(32, '\0');
  return contents;
}

Operand OperandOf(const std::string& name, const GraphView& graph) {
  Operand operand;
  operand.name = name;
  const std::optional<TensorInfo> constant = graph.Constant(name);
  if (!constant) {
    const ValueType* type = graph.Type(name);
    operand.element_type = type ? type->element_type : 0;
    return operand;
  }
  operand.is_initializer = true;
  operand.element_type = constant->element_type;
  operand.dims = constant->dims;
  operand.size = constant->size;
  operand.bytes = constant->bytes;
  std::copy(constant->digest.begin(), constant->digest.end(), operand.digest.bytes.begin());
  return operand;
}

Result<Digest> FunctionDigest(const onnx::FunctionProto& function,
                              const std::vector<Operand>& operands, const std::string& container) {
  onnx::ModelProto body;
  *body.mutable_opset_import() = function.opset_import();
  onnx::GraphProto* graph = body.mutable_graph();
  *graph->mutable_node() = function.node();
  Region region;
  for (size_t i = 0; i < operands.size(); ++i) {
    const std::string& formal = function.input(static_cast<int>(i));
    if (operands[i].is_initializer) {
      AddConstant(formal, operands[i], graph->add_initializer());
      if (operands[i].name == container) continue;
      (operands[i].size < kInlineLimit ? region.constants : region.weights).push_back(formal);
    } else {
      region.activations.push_back(formal);
      graph->add_input()->set_name(formal);
    }
  }
  BCTX_ASSIGN_OR_RETURN(const ModelView view, BuildViewWithoutInference(body, FrontContents));
  for (size_t i = 0; i < view.graph.nodes.size(); ++i) region.nodes.push_back(i);
  region.outputs.assign(function.output().begin(), function.output().end());
  return StructureDigest(view, view.graph, region);
}

}  // namespace backendctx::model
