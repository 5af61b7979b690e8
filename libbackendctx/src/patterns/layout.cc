#include "patterns/layout.h"

#include <algorithm>

namespace backendctx::patterns {

std::optional<Layout> Layout::Of(const Fact& fact, const std::vector<Role>& roles) {
  if (!fact.ranked || fact.rank() != roles.size()) return std::nullopt;
  Layout layout;
  for (size_t i = 0; i < roles.size(); ++i) {
    auto& axis = layout.axes_.emplace_back();
    if (fact.dims[i].Is(1)) continue;
    axis.push_back(layout.factors_.size());
    layout.pieces_[roles[i]].push_back(layout.factors_.size());
    layout.factors_.push_back({roles[i], fact.dims[i], false});
  }
  return layout;
}

bool Layout::BackOverTranspose(const std::vector<int64_t>& perm) {
  if (perm.size() != axes_.size()) return false;
  std::vector<std::vector<size_t>> input(axes_.size());
  std::vector<bool> seen(perm.size(), false);
  for (size_t i = 0; i < perm.size(); ++i) {
    const auto from = static_cast<size_t>(perm[i]);
    if (perm[i] < 0 || from >= perm.size() || seen[from]) return false;
    seen[from] = true;
    input[from] = axes_[i];
  }
  axes_ = std::move(input);
  return true;
}

bool Layout::ForwardOverTranspose(const std::vector<int64_t>& perm) {
  std::vector<int64_t> inverse(perm.size(), -1);
  for (size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] < 0 || static_cast<size_t>(perm[i]) >= perm.size()) return false;
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return BackOverTranspose(inverse);
}

// Takes factors from the front of `rest` until their product is `size`.
bool Layout::TakeAxis(const Symbols& symbols, const Expr& size, std::vector<size_t>* rest,
                      std::vector<size_t>* taken) {
  Expr left = symbols.Resolve(size);
  while (!left.Is(1)) {
    if (rest->empty()) return false;
    const size_t index = rest->front();
    const Expr own = symbols.Resolve(factors_[index].size);
    if (const auto more = ExactQuotient(left, own)) {
      taken->push_back(index);
      rest->erase(rest->begin());
      left = *more;
      continue;
    }
    const auto inner = ExactQuotient(own, left);
    if (!inner) return false;
    const size_t added = factors_.size();  // the inner part; `index` becomes the outer one
    factors_.push_back({factors_[index].role, *inner, factors_[index].repeated});
    factors_[index].size = left;
    auto& pieces = pieces_[factors_[index].role];
    pieces.insert(std::find(pieces.begin(), pieces.end(), index) + 1, added);
    taken->push_back(index);
    rest->front() = added;
    left = Expr(1);
  }
  return true;
}

bool Layout::BackOverReshape(const Symbols& symbols, const Fact& input) {
  if (!input.ranked) return false;
  std::vector<size_t> rest;
  for (const auto& axis : axes_) rest.insert(rest.end(), axis.begin(), axis.end());
  std::vector<std::vector<size_t>> axes;
  for (const Expr& dim : input.dims) {
    if (!TakeAxis(symbols, dim, &rest, &axes.emplace_back())) return false;
  }
  if (!rest.empty()) return false;
  axes_ = std::move(axes);
  return true;
}

bool Layout::BackOverExpand(const Symbols& symbols, const Fact& input, const Fact& output) {
  if (!input.ranked || !output.ranked || input.rank() > output.rank()) return false;
  if (output.rank() != axes_.size()) return false;
  const size_t added = output.rank() - input.rank();
  for (size_t i = 0; i < output.rank(); ++i) {
    const bool absent = i < added;
    if (!absent && symbols.Same(input.dims[i - added], output.dims[i])) continue;
    if (!absent && !input.dims[i - added].Is(1)) return false;
    for (const size_t factor : axes_[i]) {
      if (factors_[factor].role != kHead) return false;
      factors_[factor].repeated = true;
    }
    axes_[i].clear();
  }
  axes_.erase(axes_.begin(), axes_.begin() + static_cast<std::ptrdiff_t>(added));
  return true;
}

bool Layout::BackOverRepeat(const Symbols& symbols, size_t axis, const Expr& outer) {
  if (axis >= axes_.size()) return false;
  std::vector<size_t> rest = axes_[axis], taken;
  if (!TakeAxis(symbols, outer, &rest, &taken)) return false;
  for (const size_t factor : rest) {
    if (factors_[factor].role != kHead) return false;
    factors_[factor].repeated = true;
  }
  axes_[axis] = std::move(taken);
  return true;
}

bool Layout::SplitBatch(const Symbols& symbols, const Expr& heads) {
  auto& batch = pieces_[kBatch];
  if (batch.size() != 1 || !pieces_[kHead].empty() || heads.Is(1)) return false;
  const size_t outer = batch.front();
  const auto size = ExactQuotient(symbols.Resolve(factors_[outer].size), symbols.Resolve(heads));
  if (!size) return false;
  if (size->Is(1)) {
    factors_[outer].role = kHead;
    std::swap(batch, pieces_[kHead]);
    return true;
  }
  const size_t inner = factors_.size();
  factors_[outer].size = *size;
  factors_.push_back({kHead, heads, false});
  pieces_[kHead] = {inner};
  for (auto& axis : axes_) {
    const auto at = std::find(axis.begin(), axis.end(), outer);
    if (at != axis.end()) axis.insert(at + 1, inner);
  }
  return true;
}

std::optional<Expr> Layout::InnerBatch() const {
  if (pieces_[kBatch].size() != 2) return std::nullopt;
  return factors_[pieces_[kBatch].back()].size;
}

bool Layout::IsRole(size_t axis, Role role) const { return axes_[axis] == pieces_[role]; }

bool Layout::IsJoined(size_t axis) const {
  std::vector<size_t> both = pieces_[kBatch];
  both.insert(both.end(), pieces_[kHead].begin(), pieces_[kHead].end());
  return !pieces_[kHead].empty() && axes_[axis] == both;
}

std::optional<Role> Layout::RoleOf(size_t first, size_t end) const {
  std::vector<size_t> together;
  for (size_t axis = first; axis < end && axis < axes_.size(); ++axis) {
    together.insert(together.end(), axes_[axis].begin(), axes_[axis].end());
  }
  if (together.empty()) return std::nullopt;
  const Role role = factors_[together.front()].role;
  if (together != pieces_[role]) return std::nullopt;
  return role;
}

// The factors of a role that Expand did not repeat. Repeated heads must be the inner ones: one kv
// head serves consecutive query heads.
std::optional<std::vector<size_t>> Layout::Alive(Role role) const {
  std::vector<size_t> alive;
  bool repeated = false;
  for (const size_t piece : pieces_[role]) {
    if (repeated && !factors_[piece].repeated) return std::nullopt;
    repeated = factors_[piece].repeated;
    if (!repeated) alive.push_back(piece);
  }
  return alive;
}

// Whether an axis holds all that lives of one role, in order.
bool Layout::WholeRole(const std::vector<size_t>& axis) const {
  const auto alive = Alive(factors_[axis.front()].role);
  return alive && axis == *alive;
}

// Batch and sequence in either order, then head and channel on one axis.
std::optional<std::array<int, kRoles>> Layout::PackedAxes() const {
  const auto heads = Alive(kHead), channels = Alive(kChannel);
  if (!heads || !channels || heads->empty()) return std::nullopt;
  std::vector<size_t> both = *heads;
  both.insert(both.end(), channels->begin(), channels->end());
  if (axes_[2] != both) return std::nullopt;
  for (const int batch : {0, 1}) {
    const auto sequence = static_cast<size_t>(1 - batch);
    if (axes_[static_cast<size_t>(batch)] == pieces_[kBatch] &&
        axes_[sequence] == pieces_[kSequence]) {
      return std::array<int, kRoles>{batch, 2, 1 - batch, 2};
    }
  }
  return std::nullopt;
}

std::optional<std::array<int, kRoles>> Layout::Axes(size_t rank) const {
  if (rank == 4 && axes_.size() == 3) return PackedAxes();
  if (axes_.size() != rank || (rank != 3 && rank != 4)) return std::nullopt;
  std::array<int, kRoles> axes = {-1, -1, -1, -1};
  for (size_t i = 0; i < axes_.size(); ++i) {
    if (axes_[i].empty()) continue;
    if (!WholeRole(axes_[i])) return std::nullopt;
    axes[factors_[axes_[i].front()].role] = static_cast<int>(i);
  }
  if (rank == 3 && axes[kHead] >= 0) return std::nullopt;
  size_t free = 0;
  for (size_t role = 0; role < kRoles; ++role) {
    if (axes[role] >= 0 || (rank == 3 && role == kHead)) continue;
    // A role whose factors were all repeated has no inner rest to look at: WholeRole was not asked.
    while (free < axes_.size() && !axes_[free].empty()) ++free;
    if (free == axes_.size()) return std::nullopt;
    axes[role] = static_cast<int>(free++);
  }
  if (rank == 3) axes[kHead] = axes[kChannel];
  return axes;
}

Expr Layout::Size(Role role, Symbols* symbols) const {
  Expr size(1);
  for (const size_t piece : pieces_[role]) {
    if (!factors_[piece].repeated) size = symbols->Multiply(size, factors_[piece].size);
  }
  return size;
}

}  // namespace backendctx::patterns
