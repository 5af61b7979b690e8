#include "model/visit.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;
using onnx::SparseTensorProto;
using onnx::TensorProto;

class TensorWalk {
 public:
  explicit TensorWalk(const TensorVisitor& visitor) : visitor_(visitor) {}

  Status Graph(GraphProto* graph) {
    for (TensorProto& tensor : *graph->mutable_initializer()) {
      BCTX_RETURN_IF_ERROR(visitor_(&tensor, fmt::format("initializer \"{}\"", tensor.name())));
    }
    for (SparseTensorProto& sparse : *graph->mutable_sparse_initializer()) {
      BCTX_RETURN_IF_ERROR(
          Sparse(&sparse, fmt::format("sparse initializer \"{}\"", sparse.values().name())));
    }
    for (NodeProto& node : *graph->mutable_node()) BCTX_RETURN_IF_ERROR(Node(&node));
    return OkStatus();
  }

  Status Node(NodeProto* node) {
    const std::string owner = fmt::format("node \"{}\"", KeyOf(*node));
    for (AttributeProto& attribute : *node->mutable_attribute()) {
      BCTX_RETURN_IF_ERROR(Attribute(&attribute, owner));
    }
    return OkStatus();
  }

  Status Attribute(AttributeProto* attribute, const std::string& owner) {
    const std::string place = fmt::format("{} attribute \"{}\"", owner, attribute->name());
    if (attribute->has_t()) BCTX_RETURN_IF_ERROR(visitor_(attribute->mutable_t(), place));
    for (TensorProto& tensor : *attribute->mutable_tensors()) {
      BCTX_RETURN_IF_ERROR(visitor_(&tensor, place));
    }
    if (attribute->has_sparse_tensor()) {
      BCTX_RETURN_IF_ERROR(Sparse(attribute->mutable_sparse_tensor(), place));
    }
    for (SparseTensorProto& sparse : *attribute->mutable_sparse_tensors()) {
      BCTX_RETURN_IF_ERROR(Sparse(&sparse, place));
    }
    if (attribute->has_g()) BCTX_RETURN_IF_ERROR(Graph(attribute->mutable_g()));
    for (GraphProto& graph : *attribute->mutable_graphs()) BCTX_RETURN_IF_ERROR(Graph(&graph));
    return OkStatus();
  }

 private:
  Status Sparse(SparseTensorProto* sparse, const std::string& place) {
    if (sparse->has_values()) {
      BCTX_RETURN_IF_ERROR(visitor_(sparse->mutable_values(), place + " values"));
    }
    if (sparse->has_indices()) {
      BCTX_RETURN_IF_ERROR(visitor_(sparse->mutable_indices(), place + " indices"));
    }
    return OkStatus();
  }

  const TensorVisitor& visitor_;
};

class NodeWalk {
 public:
  explicit NodeWalk(const NodeVisitor& visitor) : visitor_(visitor) {}

  template <typename Nodes>
  Status All(const Nodes& nodes) {
    for (const NodeProto& node : nodes) {
      BCTX_RETURN_IF_ERROR(visitor_(node));
      for (const GraphProto* graph : Subgraphs(node)) BCTX_RETURN_IF_ERROR(All(graph->node()));
    }
    return OkStatus();
  }

 private:
  const NodeVisitor& visitor_;
};

void AddGraphs(const GraphProto& graph, const std::string& path,
               std::map<std::string, const GraphProto*>* graphs) {
  graphs->emplace(path, &graph);
  for (const NodeProto& node : graph.node()) {
    for (const AttributeProto& attribute : node.attribute()) {
      if (attribute.type() != AttributeProto::GRAPH || !attribute.has_g()) continue;
      AddGraphs(attribute.g(), path + "/" + KeyOf(node) + "." + attribute.name(), graphs);
    }
  }
}

void AddReads(const NodeProto& node, NameSet* reads);

void AddCaptures(const GraphProto& graph, NameSet* captures) {
  NameSet reads;
  for (const NodeProto& node : graph.node()) AddReads(node, &reads);
  for (const auto& output : graph.output()) reads.insert(output.name());
  const NameSet defined = Definitions(graph);
  for (const std::string& name : reads) {
    if (!defined.count(name)) captures->insert(name);
  }
}

void AddReads(const NodeProto& node, NameSet* reads) {
  reads->insert(node.input().begin(), node.input().end());
  for (const GraphProto* graph : Subgraphs(node)) AddCaptures(*graph, reads);
}

}  // namespace

Status VisitTensors(onnx::ModelProto* model, const TensorVisitor& visitor) {
  TensorWalk walk(visitor);
  if (model->has_graph()) BCTX_RETURN_IF_ERROR(walk.Graph(model->mutable_graph()));
  for (onnx::FunctionProto& function : *model->mutable_functions()) {
    const std::string owner = fmt::format("function \"{}\"", function.name());
    for (AttributeProto& attribute : *function.mutable_attribute_proto()) {
      BCTX_RETURN_IF_ERROR(walk.Attribute(&attribute, owner));
    }
    for (NodeProto& node : *function.mutable_node()) BCTX_RETURN_IF_ERROR(walk.Node(&node));
  }
  for (onnx::TrainingInfoProto& training : *model->mutable_training_info()) {
    if (training.has_initialization()) {
      BCTX_RETURN_IF_ERROR(walk.Graph(training.mutable_initialization()));
    }
    if (training.has_algorithm()) BCTX_RETURN_IF_ERROR(walk.Graph(training.mutable_algorithm()));
  }
  return OkStatus();
}

Status VisitTensors(NodeProto* node, const TensorVisitor& visitor) {
  return TensorWalk(visitor).Node(node);
}

Status VisitNodes(const onnx::ModelProto& model, const NodeVisitor& visitor) {
  NodeWalk walk(visitor);
  BCTX_RETURN_IF_ERROR(walk.All(model.graph().node()));
  for (const onnx::FunctionProto& function : model.functions()) {
    BCTX_RETURN_IF_ERROR(walk.All(function.node()));
  }
  for (const onnx::TrainingInfoProto& training : model.training_info()) {
    BCTX_RETURN_IF_ERROR(walk.All(training.initialization().node()));
    BCTX_RETURN_IF_ERROR(walk.All(training.algorithm().node()));
  }
  return OkStatus();
}

std::vector<GraphProto*> Subgraphs(NodeProto* node) {
  std::vector<GraphProto*> graphs;
  for (AttributeProto& attribute : *node->mutable_attribute()) {
    if (attribute.has_g()) graphs.push_back(attribute.mutable_g());
    for (GraphProto& graph : *attribute.mutable_graphs()) graphs.push_back(&graph);
  }
  return graphs;
}

std::vector<const GraphProto*> Subgraphs(const NodeProto& node) {
  std::vector<const GraphProto*> graphs;
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) graphs.push_back(&attribute.g());
    for (const GraphProto& graph : attribute.graphs()) graphs.push_back(&graph);
  }
  return graphs;
}

const std::string& KeyOf(const NodeProto& node) {
  static const std::string kNone;
  for (const std::string& output : node.output()) {
    if (!output.empty()) return output;
  }
  return kNone;
}

std::map<std::string, const GraphProto*> GraphsByPath(const GraphProto& top) {
  std::map<std::string, const GraphProto*> graphs;
  AddGraphs(top, "", &graphs);
  return graphs;
}

std::map<std::string, GraphProto*> GraphsByPath(GraphProto* top) {
  std::map<std::string, GraphProto*> graphs;
  for (const auto& [path, graph] : GraphsByPath(std::as_const(*top))) {
    graphs.emplace(path, const_cast<GraphProto*>(graph));  // below `top`, which is ours to change
  }
  return graphs;
}

NameSet Reads(const NodeProto& node) {
  NameSet reads;
  AddReads(node, &reads);
  reads.erase("");
  return reads;
}

std::vector<std::vector<size_t>> NodesAfter(
    const google::protobuf::RepeatedPtrField<NodeProto>& nodes) {
  std::unordered_map<std::string_view, size_t> maker;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (!output.empty()) maker.emplace(output, static_cast<size_t>(i));
    }
  }
  std::vector<std::vector<size_t>> after(static_cast<size_t>(nodes.size()));
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& value : Reads(nodes[i])) {
      const auto made = maker.find(value);
      if (made != maker.end()) after[made->second].push_back(static_cast<size_t>(i));
    }
  }
  return after;
}

void CollectNames(const NodeProto& node, NameSet* names) {
  names->insert(node.input().begin(), node.input().end());
  names->insert(node.output().begin(), node.output().end());
  for (const GraphProto* graph : Subgraphs(node)) CollectNames(*graph, names);
}

void CollectNames(const GraphProto& graph, NameSet* names) {
  for (const auto& input : graph.input()) names->insert(input.name());
  for (const auto& output : graph.output()) names->insert(output.name());
  for (const TensorProto& tensor : graph.initializer()) names->insert(tensor.name());
  for (const auto& sparse : graph.sparse_initializer()) names->insert(sparse.values().name());
  for (const NodeProto& node : graph.node()) CollectNames(node, names);
}

NameSet Definitions(const GraphProto& graph) {
  NameSet defined;
  for (const auto& input : graph.input()) defined.insert(input.name());
  for (const TensorProto& tensor : graph.initializer()) defined.insert(tensor.name());
  for (const auto& sparse : graph.sparse_initializer()) defined.insert(sparse.values().name());
  for (const NodeProto& node : graph.node()) {
    defined.insert(node.output().begin(), node.output().end());
  }
  return defined;
}

void RenameReads(const Renames& renames, NodeProto* node) {
  if (renames.empty()) return;
  const auto rename = [&renames](std::string* name) {
    if (const auto found = renames.find(*name); found != renames.end()) *name = found->second;
  };
  for (std::string& input : *node->mutable_input()) rename(&input);
  for (GraphProto* graph : Subgraphs(node)) {
    Renames visible = renames;
    for (const std::string& name : Definitions(*graph)) visible.erase(name);
    for (NodeProto& inner : *graph->mutable_node()) RenameReads(visible, &inner);
    for (auto& output : *graph->mutable_output()) {
      if (const auto found = visible.find(output.name()); found != visible.end()) {
        output.set_name(found->second);
      }
    }
  }
}

}  // namespace backendctx::model
