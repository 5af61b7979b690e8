#include "model/hoist.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crypto/sha256.h"
#include "model/constants.h"
#include "model/stored_tensor.h"
#include "model/tensor_bytes.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

class Hoister {
 public:
  Hoister(const ConstantSet& also, GraphProto* top) : also_(also), top_(top) {
    CollectNames(*top, &taken_);
    CountDefinitions(*top);
  }

  Status Run() {
    BCTX_RETURN_IF_ERROR(Visit(top_));
    for (TensorProto& tensor : hoisted_) top_->add_initializer()->Swap(&tensor);
    return OkStatus();
  }

 private:
  void CountDefinitions(const GraphProto& graph) {
    for (const std::string& name : Definitions(graph)) ++definitions_[name];
    for (const NodeProto& node : graph.node()) {
      for (const GraphProto* subgraph : Subgraphs(node)) CountDefinitions(*subgraph);
    }
  }

  Status Visit(GraphProto* graph) {
    taken_here_.clear();
    dequantized_ = graph == top_ ? NameSet() : Dequantized(*graph);
    NameSet outputs;
    for (const auto& output : graph->output()) outputs.insert(output.name());
    Renames renames;
    BCTX_RETURN_IF_ERROR(TakeNodes(graph, outputs, &renames));
    if (graph != top_) {
      TakeInitializers(graph, outputs, &renames);
      DropTypes(outputs, graph);
    }
    for (NodeProto& node : *graph->mutable_node()) {
      RenameReads(renames, &node);
      for (GraphProto* subgraph : Subgraphs(&node)) BCTX_RETURN_IF_ERROR(Visit(subgraph));
    }
    return OkStatus();
  }

  // What DequantizeLinear reads. ONNX Runtime's fusions of it with MatMul look for weight and scale
  // in the graph that both are in, and fail where they are captured.
  static NameSet Dequantized(const GraphProto& graph) {
    NameSet names;
    for (const NodeProto& node : graph.node()) {
      if (node.op_type() != "DequantizeLinear") continue;
      names.insert(node.input().begin(), node.input().end());
    }
    return names;
  }

  Status TakeNodes(GraphProto* graph, const NameSet& outputs, Renames* renames) {
    google::protobuf::RepeatedPtrField<NodeProto> kept;
    for (NodeProto& node : *graph->mutable_node()) {
      std::optional<TensorProto> tensor = ConstantTensor(node);
      if (!tensor || tensor->name().empty()) {
        kept.Add()->Swap(&node);
        continue;
      }
      BCTX_RETURN_IF_ERROR(ReplaceLarge(&*tensor));
      const bool large =
          tensor->data_location() == TensorProto::EXTERNAL && !dequantized_.count(tensor->name());
      if (!large && !also_.count({graph, tensor->name()})) {
        kept.Add()->Swap(&node);
        continue;
      }
      const std::string name = tensor->name();
      Take(std::move(*tensor), graph, outputs.count(name) > 0, renames);
      if (outputs.count(name)) *kept.Add() = Identity(name, renames->at(name), node.name());
    }
    graph->mutable_node()->Swap(&kept);
    return OkStatus();
  }

  // Constants in attribute lists are whole in the stored form.
  static Status ReplaceLarge(TensorProto* tensor) {
    if (tensor->data_location() == TensorProto::EXTERNAL) return OkStatus();
    BCTX_ASSIGN_OR_RETURN(const std::string bytes, DecodeInline(*tensor));
    if (bytes.size() < kInlineLimit) return OkStatus();
    Replace(tensor, Held::kRaw, crypto::Sha256(std::string_view(bytes)), bytes.size());
    return OkStatus();
  }

  void TakeInitializers(GraphProto* graph, const NameSet& outputs, Renames* renames) {
    NameSet inputs;
    for (const auto& input : graph->input()) inputs.insert(input.name());
    google::protobuf::RepeatedPtrField<TensorProto> kept;
    std::vector<NodeProto> identities;
    for (TensorProto& tensor : *graph->mutable_initializer()) {
      const std::string name = tensor.name();
      if (tensor.data_location() != TensorProto::EXTERNAL || inputs.count(name) ||
          dequantized_.count(name)) {
        kept.Add()->Swap(&tensor);
        continue;
      }
      TensorProto taken;
      taken.Swap(&tensor);
      Take(std::move(taken), graph, outputs.count(name) > 0, renames);
      if (outputs.count(name)) identities.push_back(Identity(name, renames->at(name), ""));
    }
    graph->mutable_initializer()->Swap(&kept);
    for (NodeProto& identity : identities) graph->add_node()->Swap(&identity);
  }

  // Types of what has left a branch; those of its outputs stay true.
  void DropTypes(const NameSet& outputs, GraphProto* graph) {
    auto* types = graph->mutable_value_info();
    types->erase(std::remove_if(types->begin(), types->end(),
                                [&](const auto& info) {
                                  return taken_here_.count(info.name()) &&
                                         !outputs.count(info.name());
                                }),
                 types->end());
  }

  void Take(TensorProto tensor, const GraphProto* graph, bool is_output, Renames* renames) {
    const std::string name = tensor.name();
    taken_here_.insert(name);
    if (is_output || (graph != top_ && definitions_[name] > 1)) {
      const std::string fresh = Fresh(name);
      (*renames)[name] = fresh;
      tensor.set_name(fresh);
    }
    hoisted_.push_back(std::move(tensor));
  }

  std::string Fresh(const std::string& name) {
    for (size_t i = 1;; ++i) {
      std::string fresh = name + "_" + std::to_string(i);
      if (taken_.insert(fresh).second) return fresh;
    }
  }

  static NodeProto Identity(const std::string& name, const std::string& from,
                            const std::string& node_name) {
    NodeProto node;
    node.set_op_type("Identity");
    node.set_name(node_name);
    node.add_input(from);
    node.add_output(name);
    return node;
  }

  const ConstantSet& also_;
  GraphProto* const top_;
  NameSet taken_;        // every name of the model
  NameSet taken_here_;   // what the graph at hand has lost
  NameSet dequantized_;  // what it keeps
  std::unordered_map<std::string, size_t> definitions_;
  std::vector<TensorProto> hoisted_;
};

}  // namespace

Status HoistConstants(const ConstantSet& also, onnx::ModelProto* model) {
  return Hoister(also, model->mutable_graph()).Run();
}

}  // namespace backendctx::model
