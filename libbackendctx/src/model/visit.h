// Walks over the messages of a model. Internal to model.
//
// External data hide in more places than initializers: sparse initializers, tensors in attributes,
// default attributes of functions, subgraphs of all of these. A walk written anew for one purpose
// forgets one of them, so there is this one.
//
// Recursion is bounded: the parser refuses messages nested deeper than the load limits.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "backendctx/status.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// `place` says where the tensor is, for messages: `initializer "w"`.
using TensorVisitor = std::function<Status(onnx::TensorProto*, const std::string& place)>;

// Every tensor of the model, in a fixed order; stops at the first error.
Status VisitTensors(onnx::ModelProto* model, const TensorVisitor& visitor);
// The same below one node: its attributes and their subgraphs.
Status VisitTensors(onnx::NodeProto* node, const TensorVisitor& visitor);

// Every node of the main graph and its subgraphs, functions and training graphs too.
using NodeVisitor = std::function<Status(const onnx::NodeProto&)>;
Status VisitNodes(const onnx::ModelProto& model, const NodeVisitor& visitor);

// The graphs of a node's attributes, in order.
std::vector<onnx::GraphProto*> Subgraphs(onnx::NodeProto* node);
std::vector<const onnx::GraphProto*> Subgraphs(const onnx::NodeProto& node);

// First non-empty output: the identity of a node within its graph.
const std::string& KeyOf(const onnx::NodeProto& node);

// Graphs of the main graph's tree by their path (docs/format.md, "Graph paths").
std::map<std::string, onnx::GraphProto*> GraphsByPath(onnx::GraphProto* top);
std::map<std::string, const onnx::GraphProto*> GraphsByPath(const onnx::GraphProto& top);

using NameSet = std::unordered_set<std::string>;

// What a node reads: its inputs and what its subgraphs capture from outside. "" is left out.
NameSet Reads(const onnx::NodeProto& node);
// For each node of a list the nodes that read what it makes, themselves or in their subgraphs; each
// once for each value.
std::vector<std::vector<size_t>> NodesAfter(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes);
// Every value name that occurs in a graph, subgraphs included.
void CollectNames(const onnx::GraphProto& graph, NameSet* names);
void CollectNames(const onnx::NodeProto& node, NameSet* names);
// What one graph level defines: inputs, initializers, outputs of nodes.
NameSet Definitions(const onnx::GraphProto& graph);

using Renames = std::unordered_map<std::string, std::string>;

// Renames what nodes read, captures of their subgraphs included; a subgraph that defines a name
// itself keeps it.
void RenameReads(const Renames& renames, onnx::NodeProto* node);

}  // namespace backendctx::model
