// Which logical axes a tensor's axes are made of, followed backwards through operators that move
// elements without changing them.
//
// The problem: K reaches the product through Reshape, Transpose and Reshape again, or repeated per
// group, and the kernel wants to read the tensor before all that, through strides. The idea: the
// product names the axes of its operand (batch, head, sequence, channel). Each becomes one factor
// with a size, a tensor axis is a list of factors, outermost first, and walking back over a
// Transpose permutes the lists, over a Reshape regroups the flat row-major list by the sizes of the
// input's axes, splitting a factor where an axis boundary falls inside it. Row-major order is kept
// by Reshape, so the regrouping is unique when the sizes are known as polynomials; where they are
// not, the walk ends. Expand ends the life of the factors it repeats. Factors of size 1 are left
// out.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "patterns/facts.h"

namespace backendctx::patterns {

enum Role { kBatch = 0, kHead = 1, kSequence = 2, kChannel = 3 };
inline constexpr size_t kRoles = 4;

class Layout {
 public:
  // The operand's axes in order; nothing when rank and roles differ.
  static std::optional<Layout> Of(const Fact& fact, const std::vector<Role>& roles);

  // Each gives the layout of the operator's input from that of its output; false: not provable.
  bool BackOverTranspose(const std::vector<int64_t>& perm);
  bool BackOverReshape(const Symbols& symbols, const Fact& input);
  bool BackOverExpand(const Symbols& symbols, const Fact& input, const Fact& output);
  // A Gather that repeats each of the `outer` elements of an axis equally often, in order.
  bool BackOverRepeat(const Symbols& symbols, size_t axis, const Expr& outer);
  bool ForwardOverReshape(const Symbols& symbols, const Fact& output) {
    return BackOverReshape(symbols, output);  // regrouping has no direction
  }
  bool ForwardOverTranspose(const std::vector<int64_t>& perm);

  // Makes the batch into batch and `heads`, which are its inner part; false: it does not divide.
  bool SplitBatch(const Symbols& symbols, const Expr& heads);
  // The inner size of a batch that a Reshape was seen to split in two.
  std::optional<Expr> InnerBatch() const;

  size_t rank() const { return axes_.size(); }
  // Whether an axis is one role, or is of size 1 as that role is.
  bool IsRole(size_t axis, Role role) const;
  bool IsUnit(size_t axis) const { return axes_[axis].empty(); }
  // Whether an axis is batch and head, in this order.
  bool IsJoined(size_t axis) const;
  // The role that the axes from `first` to before `end` are, together.
  std::optional<Role> RoleOf(size_t first, size_t end) const;

  // The tensor axis of each role, if every axis has one role and every role one axis; for rank 3
  // batch, sequence and channel, with the head (size 1) on the channel's axis. A size-1 role takes
  // any axis that is left. Of rank 4 roles in a rank 3 tensor head and channel are its last axis.
  std::optional<std::array<int, kRoles>> Axes(size_t rank) const;
  // The size of a role, without what Expand repeated.
  Expr Size(Role role, Symbols* symbols) const;

 private:
  struct Factor {
    Role role = kBatch;
    Expr size;
    bool repeated = false;
  };
  bool TakeAxis(const Symbols& symbols, const Expr& size, std::vector<size_t>* rest,
                std::vector<size_t>* taken);
  bool WholeRole(const std::vector<size_t>& factors) const;
  std::optional<std::vector<size_t>> Alive(Role role) const;
  std::optional<std::array<int, kRoles>> PackedAxes() const;

  std::vector<Factor> factors_;
  std::array<std::vector<size_t>, kRoles> pieces_;  // factors of each role, outermost first
  std::vector<std::vector<size_t>> axes_;           // factors of each tensor axis, outermost first
};

}  // namespace backendctx::patterns
