// The body of one partition as the nodes of a function. Internal to model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/front.h"
#include "model/graph_view.h"
#include "model/state.h"
#include "model/visit.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

GraphIndex IndexGraphs(const FlatModel::State& state);

// Where a constant is defined: the graph, and the node when it is a Constant node.
struct ConstantPlace {
  const GraphView* graph = nullptr;
  const onnx::NodeProto* node = nullptr;  // null: an initializer
};

// In a function, ONNX Runtime knows the default domain by its short name alone.
void ShortenDomain(onnx::NodeProto* node);
// What the node reads and makes, by new names.
void RenameBoundary(const Renames& renames, onnx::NodeProto* node);
// "node_0" ... for nodes without a name.
void NameNodes(onnx::FunctionProto* function);

struct Body {
  GraphPair graph;
  std::vector<size_t> members;   // indices of the partition's nodes, ascending
  onnx::FunctionProto function;  // complete: formals, nodes, imports
  // Values of the flat graph that the call passes, in the order of the formals, and which of them
  // are activations, the first ones.
  std::vector<std::string> operands;
  size_t activations = 0;
  Renames renames;  // from values of the flat graph to formals
  // Constant nodes whose copies are in the body, and those that must become initializers.
  std::vector<std::pair<ConstantPlace, std::string>> copied, hoisted;
};

Result<Body> BuildBody(const FlatModel::State& state, const EncodedPartition& partition);

}  // namespace backendctx::model
