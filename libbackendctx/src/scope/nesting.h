// Sets of nodes that can all be functions of one model: any two are disjoint or one lies inside the
// other, and on every level the graph with the sets on it contracted is acyclic.
//
// Partitions of different backends overlap as they like. What lies inside another one becomes a
// function that the other's body calls; of two that cross only one can be a function, and the same
// holds for two that wait for each other although each backend's own cover is sound.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/graph_view.h"

namespace backendctx::scope {

using Place = std::pair<const model::GraphView*, size_t>;  // a node of a graph

// The node that holds each graph, the main graph aside.
using Holders = std::map<const model::GraphView*, Place>;
Holders HoldersOf(const model::ModelView& model);

struct NodeSet {
  std::string name;  // for reasons
  const model::GraphView* graph = nullptr;
  std::vector<size_t> nodes;  // ascending, not empty
  bool is_whole = false;      // its body is another's work: nothing inside can be a function
};

// Takes the sets one by one, in `order`, each that fits those taken before. For each set why it was
// not taken; "" for those that were. A node that holds a graph holds all nodes in it. Graphs must
// be of `model`. Cost: linear in graph and sets; where two wait for each other, once more for each
// set.
std::vector<std::string> Nest(const model::ModelView& model, const std::vector<NodeSet>& sets,
                              const std::vector<size_t>& order);

}  // namespace backendctx::scope
