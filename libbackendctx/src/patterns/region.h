// From the nodes that attention needs to a region that can be one call: closed, with one output.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "patterns/attention.h"
#include "patterns/facts.h"

namespace backendctx::patterns {

// The nodes and the values that the kernel reads and makes.
struct Core {
  std::set<size_t> nodes;
  std::vector<std::string> operands;  // q, k, v, masks: must come from outside
  std::string y;
};

// A value made inside that is needed outside, or an operand that is not from outside.
struct Leak {
  std::string value;   // of the core; where it was made is where the boundary has to be
  std::string reader;  // node, or "" for an output of the graph
};

struct Region {
  std::set<size_t> nodes;
  std::vector<std::string> inputs, constants;  // in order of first use
};

// Takes in the shape arithmetic (Shape, Gather, Concat ... and numbers computed from them) that
// reads values made inside, then what is needed for the region alone and computed from its inputs
// alone. Nothing: `leak` is filled.
std::optional<Region> Close(const model::GraphView& graph, const Facts& facts, const Core& core,
                            Leak* leak);

// A node that exporters compute shapes and scales with: cheap, never random, of known small
// results.
bool IsHelper(const Facts& facts, const model::Node& node);

// How a value can be made up when the region is tried alone. `sizes`: the free dimensions by name.
struct FreeDimension {
  std::string symbol;
  Expr size;
};
// Nothing: `problem` says which size is not made of the free ones.
std::optional<InputShape> Describe(const Facts& facts, const std::vector<FreeDimension>& free,
                                   const std::string& value, bool needs_values,
                                   std::string* problem);

}  // namespace backendctx::patterns
