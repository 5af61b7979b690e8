// Partitions and covers over a graph: the rules that make a set of nodes one function.
//
// A partition is closed under the inputs that it names, convex (no path leaves it and comes back)
// and has no constant on its boundary: what its nodes read of initializers and Constant nodes
// becomes weights (128 bytes and more) and constants (less). A scope's partitions are disjoint, and
// the graph with each of them contracted to one node is acyclic.
#pragma once

#include <string>
#include <vector>

#include "backendctx/status.h"
#include "model/graph_view.h"

namespace backendctx::scope {

struct Partition {
  std::vector<size_t> nodes;  // ascending
  std::vector<std::string> activations, weights, constants, outputs;
};

// The partition that a set of nodes spans, boundary worked out: activations, weights and constants
// in order of first use, outputs in node order. InvalidArgument when the set is empty or not
// convex, a Constant node is in it, or a name is captured by a subgraph of a node inside from a
// node outside in a way that cannot be an input.
Result<Partition> Span(const model::GraphView& graph, std::vector<size_t> nodes);

// Disjointness, convexity and acyclicity after contraction; the message names the shared node or
// the path that comes back: "not acyclic when contracted: A -> "x" -> B -> A". `names` are those of
// the partitions; without them each is called by a node.
Status CheckCover(const model::GraphView& graph, const std::vector<Partition>& partitions,
                  const std::vector<std::string>& names = {});

}  // namespace backendctx::scope
