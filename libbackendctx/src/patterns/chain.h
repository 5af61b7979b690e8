// Where attention could read an operand: the values on the way back from a product to the
// projection.
#pragma once

#include <array>
#include <optional>
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

// What the axes of a tensor are. `heads`: the batch axis of a rank 3 tensor is batch and that many
// heads, to be told apart where a Reshape does.
struct AxisRoles {
  std::vector<Role> roles;
  std::optional<Expr> heads;
  size_t rank() const { return heads ? 4 : roles.size(); }  // of tensors with an axis a role
};

struct WalkOptions {
  AxisRoles axes;             // of the operand
  bool allow_scale = false;   // Q and K: a constant factor belongs to the scale
  bool allow_expand = false;  // K and V: heads repeated per group
};

// The layout of `value`; nothing when its axes are not these.
std::optional<Layout> LayoutOf(const Facts& facts, const std::string& value, const AxisRoles& axes);

// The values that could be y, on from what the product gives: sizes and scale are not set, and the
// last reshapes of heads are not followed. At least one, or none when the axes are not known.
std::vector<Cut> WalkOn(const model::GraphView& graph, const Facts& facts, const std::string& value,
                        const AxisRoles& axes);

// How many heads the batch axis of a rank 3 operand holds, where a Reshape made it from two.
std::optional<Expr> HeadsInBatch(const model::GraphView& graph, const Facts& facts,
                                 const std::string& value, const WalkOptions& options);

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
