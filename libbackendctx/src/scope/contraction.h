// A graph in which sets of nodes are one item each. Internal to scope.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/graph_view.h"

namespace backendctx::scope {

// A set, by its number, or a node that is in none, by its index.
struct Item {
  bool is_set = false;
  size_t number = 0;
};

// Items of a shortest cycle through one of the items that are on any: each is read by the next, and
// the last by the first. Empty: there is none. `sets` are disjoint; `within`: the nodes that count,
// ascending, with the sets inside of them; null: all. Linear in the graph.
std::vector<Item> FindCycle(const model::GraphView& graph,
                            const std::vector<const std::vector<size_t>*>& sets,
                            const std::vector<size_t>* within = nullptr);

// "A -> "x" -> B -> A": nodes by their keys, sets as they are called.
std::string PathText(const model::GraphView& graph, const std::vector<Item>& cycle,
                     const std::function<std::string(size_t)>& name_of_set);

}  // namespace backendctx::scope
