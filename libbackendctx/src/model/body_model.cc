#include <algorithm>

#include "model/front.h"
#include "model/function_body.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

constexpr int64_t kLowestIr = 8;  // as a front with functions has at least

void SetType(const GraphView& graph, const std::string& value, onnx::ValueInfoProto* info) {
  ValueType type;
  if (const std::optional<TensorInfo> constant = graph.Constant(value)) {
    type.element_type = constant->element_type;
    type.has_shape = true;
    for (const int64_t dim : constant->dims) type.dims.push_back(Dim{dim, ""});
  } else if (const ValueType* known = graph.Type(value)) {
    type = *known;
  }
  if (type.element_type == 0) return;
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type.element_type);
  if (!type.has_shape) return;
  tensor->mutable_shape();
  for (const Dim& dim : type.dims) {
    auto* added = tensor->mutable_shape()->add_dim();
    if (dim.value >= 0) {
      added->set_dim_value(dim.value);
    } else if (!dim.symbol.empty()) {
      added->set_dim_param(dim.symbol);
    }
  }
}

Result<std::string> MakeBodyModel(const FlatModel::State& state,
                                  const EncodedPartition& partition) {
  BCTX_ASSIGN_OR_RETURN(Body body, BuildBody(state, partition));
  onnx::ModelProto model;
  model.set_ir_version(std::max(state.stored.ir_version(), kLowestIr));
  *model.mutable_opset_import() = body.function.opset_import();
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name(partition.function);
  graph->mutable_node()->Swap(body.function.mutable_node());
  for (int i = 0; i < body.function.input_size(); ++i) {
    onnx::ValueInfoProto* info = graph->add_input();
    info->set_name(body.function.input(i));
    SetType(*body.graph.view, body.operands[static_cast<size_t>(i)], info);
  }
  for (int i = 0; i < body.function.output_size(); ++i) {
    onnx::ValueInfoProto* info = graph->add_output();
    info->set_name(body.function.output(i));
    SetType(*body.graph.view, partition.outputs[static_cast<size_t>(i)], info);
  }
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    BCTX_RETURN_IF_ERROR(VisitTensors(&node, [](onnx::TensorProto* tensor, const std::string&) {
      RemoveNotes(tensor);
      return OkStatus();
    }));
  }
  return model.SerializeAsString();
}

}  // namespace

Result<std::string> BodyModel(const FlatModel& flat, const EncodedPartition& partition) {
  return Guarded("a partition's body", [&] { return MakeBodyModel(flat.state(), partition); });
}

}  // namespace backendctx::model
