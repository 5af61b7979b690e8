// Partitions out of nodes that may be taken in any combination.
#pragma once

#include <vector>

#include "model/graph_view.h"

namespace backendctx::scope {

// The nodes of `takable` as disjoint sets, each connected and convex, acyclic together when
// contracted, nodes ascending, sets in the order of their first node. Greedy: neighbours are merged
// as long as that stays legal, so there may be a cover with fewer sets; the result depends on the
// graph alone. Nothing for a graph with a cycle. Cost: O(sets * edges) at worst.
std::vector<std::vector<size_t>> Group(const model::GraphView& graph,
                                       const std::vector<size_t>& takable);

}  // namespace backendctx::scope
