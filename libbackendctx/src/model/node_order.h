// An order of nodes that follows from what they compute, not from how they are listed. Internal to
// model.
//
// Depth first from the outputs: what a node reads comes before it, input by input, then what its
// subgraphs capture, in the order in which they are written. Nodes that no output needs come last,
// by their keys. docs/format.md, "Structure digest", is the standard.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "backendctx/status.h"
#include "model/graph_view.h"

namespace backendctx::model {

// Whether the graph itself says what the name means, so that it hides the graphs around it.
bool Defines(const GraphView& graph, const std::string& value);

// The nodes without those that hold a tensor.
std::vector<const Node*> Live(const GraphView& graph);

// By name; equal ones as they are listed.
std::vector<const Attribute*> SortedAttributes(const Node& node);

// Remembers what subgraphs capture, so that each is looked into once however deep it lies.
class NodeOrders {
 public:
  // Malformed: there is a cycle. Linear in the nodes and what is below them.
  Result<std::vector<const Node*>> Of(const std::vector<const Node*>& nodes,
                                      const std::vector<std::string>& outputs);

 private:
  Result<std::vector<std::string>> Reads(const Node& node);
  Result<std::vector<std::string>> Captures(const GraphView& graph);

  std::unordered_map<const GraphView*, std::vector<std::string>> captures_;
};

}  // namespace backendctx::model
