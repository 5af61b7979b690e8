// Where attention could read an operand: the values on the way back from a product to the
// projection.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "patterns/facts.h"
#include "patterns/layout.h"

namespace backendctx::patterns {

// A value that can be the boundary. `nodes` lie between it and the product.
struct Cut {
  std::string value;
  std::array<int, kRoles> axis = {0, 1, 2, 3};
  Expr size[kRoles];  // of batch, head, sequence and channel
  std::vector<size_t> nodes;
  double scale = 1;  // what the nodes multiply by
};

struct Chain {
  std::vector<Cut> cuts;  // nearest to the product first; at least one, or `reason`
  std::string reason;
};

struct WalkOptions {
  std::vector<Role> roles;    // of the operand's axes
  bool allow_scale = false;   // Q and K: a constant factor belongs to the scale
  bool allow_expand = false;  // K and V: heads repeated per group
};

// The values that could be y, on from what the product gives: sizes and scale are not set, and the
// last reshapes of heads are not followed. At least one, or none when the axes are not known.
std::vector<Cut> WalkOn(const model::GraphView& graph, const Facts& facts,
                        const std::string& value);

Chain WalkBack(const model::GraphView& graph, Facts* facts, const std::string& value,
               const WalkOptions& options);

// The other operand of a Mul, or the divisor of a Div, when it is one constant number that changes
// no shape: what the node multiplies `*value` by; nothing else. `*value`: the operand that varies.
std::optional<double> ConstantFactor(const Facts& facts, const model::Node& node,
                                     std::string* value);
// Gives its first input unchanged, float to float.
bool IsNoOp(const Facts& facts, const model::Node& node);
// Reshape, Squeeze, Unsqueeze, Flatten.
bool IsReshape(const Facts& facts, const model::Node& node);
std::optional<std::vector<int64_t>> Permutation(const Facts& facts, const model::Node& node);

}  // namespace backendctx::patterns
