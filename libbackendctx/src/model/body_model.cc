#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

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

class BodyModelMaker {
 public:
  BodyModelMaker(const FlatModel::State& state, const EncodedPartition& partition,
                 const WeightPlaces* weights)
      : state_(state), partition_(partition), weights_(weights) {}

  Result<std::string> Make() {
    BCTX_ASSIGN_OR_RETURN(Body body, BuildBody(state_, partition_));
    onnx::ModelProto model;
    model.set_ir_version(std::max(state_.stored.ir_version(), kLowestIr));
    *model.mutable_opset_import() = body.function.opset_import();
    onnx::GraphProto* graph = model.mutable_graph();
    graph->set_name(partition_.function);
    graph->mutable_node()->Swap(body.function.mutable_node());
    for (int i = 0; i < body.function.input_size(); ++i) {
      BCTX_RETURN_IF_ERROR(AddOperand(*body.graph.view, body.operands[static_cast<size_t>(i)],
                                      body.function.input(i), graph));
    }
    for (int i = 0; i < body.function.output_size(); ++i) {
      onnx::ValueInfoProto* info = graph->add_output();
      info->set_name(body.function.output(i));
      SetType(*body.graph.view, partition_.outputs[static_cast<size_t>(i)], info);
    }
    for (onnx::NodeProto& node : *graph->mutable_node()) {
      BCTX_RETURN_IF_ERROR(VisitTensors(&node, [](onnx::TensorProto* tensor, const std::string&) {
        RemoveNotes(tensor);
        return OkStatus();
      }));
    }
    return model.SerializeAsString();
  }

 private:
  Status AddOperand(const GraphView& view, const std::string& value, const std::string& formal,
                    onnx::GraphProto* graph) const {
    const std::optional<TensorInfo> constant =
        weights_ != nullptr ? view.Constant(value) : std::nullopt;
    if (!constant || constant->element_type == onnx::TensorProto::STRING) {
      onnx::ValueInfoProto* info = graph->add_input();
      info->set_name(formal);
      SetType(view, value, info);
      return OkStatus();
    }
    onnx::TensorProto* tensor = graph->add_initializer();
    tensor->set_name(formal);
    tensor->set_data_type(constant->element_type);
    for (const int64_t dim : constant->dims) tensor->add_dims(dim);
    if (constant->size < kInlineLimit) {
      tensor->set_raw_data(constant->bytes);
      return OkStatus();
    }
    const auto place = weights_->offsets.find(value);
    if (place == weights_->offsets.end()) {
      return Status(StatusCode::kInvalidArgument, fmt::format("weight \"{}\" has no place", value));
    }
    PointAt(weights_->location, place->second, constant->size, tensor);
    return OkStatus();
  }

  const FlatModel::State& state_;
  const EncodedPartition& partition_;
  const WeightPlaces* const weights_;  // null: weights are inputs
};

Result<std::string> MakeModelWithoutWeights(const FlatModel::State& state,
                                            const std::string& location) {
  onnx::ModelProto model = state.stored;
  std::unordered_set<const onnx::TensorProto*> placed;
  uint64_t end = 0;
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
    if (!replaced || tensor.data_type() == onnx::TensorProto::STRING) continue;
    PointAt(location, end, replaced->size, &tensor);
    placed.insert(&tensor);
    end += replaced->size;
  }
  BCTX_RETURN_IF_ERROR(
      VisitTensors(&model, [&](onnx::TensorProto* tensor, const std::string&) -> Status {
        if (placed.contains(tensor)) return OkStatus();
        BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
        if (!replaced) {
          RemoveNotes(tensor);
          return OkStatus();
        }
        const TensorContent* content = state.Find(replaced->digest);
        if (content == nullptr) return Status(StatusCode::kInternal, "a content is missing");
        BCTX_ASSIGN_OR_RETURN(std::string bytes, ReadAll(*content));
        return PutBack(tensor, std::move(bytes));
      }));
  return model.SerializeAsString();
}

}  // namespace

Result<std::string> BodyModel(const FlatModel& flat, const EncodedPartition& partition) {
  return Guarded("a partition's body",
                 [&] { return BodyModelMaker(flat.state(), partition, nullptr).Make(); });
}

Result<std::string> BodyModelWithWeights(const FlatModel& flat, const EncodedPartition& partition,
                                         const WeightPlaces& weights) {
  return Guarded("a partition's body",
                 [&] { return BodyModelMaker(flat.state(), partition, &weights).Make(); });
}

Result<std::string> ModelWithoutWeights(const FlatModel& flat, const std::string& location) {
  return Guarded("a model without its weights",
                 [&] { return MakeModelWithoutWeights(flat.state(), location); });
}

}  // namespace backendctx::model
