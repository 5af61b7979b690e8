// Slice: the elements of computed shapes, and lengths such as min(seq, 512).
#include <algorithm>

#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

constexpr int64_t kFar = INT32_MAX;  // exporters write the end of an axis as this or more

// Start, end, axes and step of a Slice, whichever way the opset gives them.
std::optional<std::vector<int64_t>> SliceList(const RuleContext& c, const char* name,
                                              size_t index) {
  if (const model::Attribute* attribute = c.node.Find(name)) return attribute->ints;
  if (!c.Has(index)) return std::nullopt;
  return ConstantInts(c.In(index));
}

struct Slice {
  size_t axis = 0;
  Expr start, end;
  int64_t step = 1;
};

// Elements of a computed list; nothing when one is not known.
std::optional<std::vector<Expr>> SliceExprs(const RuleContext& c, const char* name, size_t index) {
  if (const model::Attribute* attribute = c.node.Find(name)) {
    return std::vector<Expr>(attribute->ints.begin(), attribute->ints.end());
  }
  if (!c.Has(index) || !c.In(index).ints) return std::nullopt;
  std::vector<Expr> result;
  for (const auto& element : *c.In(index).ints) {
    if (!element) return std::nullopt;
    result.push_back(*element);
  }
  return result;
}

// Nothing when too little of it is known.
std::optional<std::vector<Slice>> Slices(const RuleContext& c, size_t rank) {
  const auto starts = SliceExprs(c, "starts", 1), ends = SliceExprs(c, "ends", 2);
  const auto axes = SliceList(c, "axes", 3), steps = SliceList(c, "steps", 4);
  if (!starts || !ends || starts->size() != ends->size()) return std::nullopt;
  if ((c.Has(3) && !axes) || (c.Has(4) && !steps)) return std::nullopt;
  if ((axes && axes->size() != starts->size()) || (steps && steps->size() != starts->size())) {
    return std::nullopt;
  }
  std::vector<Slice> result;
  for (size_t i = 0; i < starts->size(); ++i) {
    const auto axis = NormalAxis(axes ? (*axes)[i] : static_cast<int64_t>(i), rank);
    if (!axis) return std::nullopt;
    result.push_back(
        {static_cast<size_t>(*axis), (*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1});
  }
  return result;
}

// The elements that a constant slice with a positive step takes of an axis of constant size.
std::vector<size_t> Taken(int64_t start, int64_t end, int64_t step, int64_t size) {
  auto clamped = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? (at < -size ? 0 : at + size) : at, 0, size);
  };
  std::vector<size_t> taken;
  const int64_t last = clamped(end);
  for (int64_t at = clamped(start); at < last; at += std::min(step, size)) {
    taken.push_back(static_cast<size_t>(at));
  }
  return taken;
}

Expr SlicedDim(Symbols& symbols, const Slice& slice, const Expr& dim) {
  const auto start = slice.start.Constant(), end = slice.end.Constant(), size = dim.Constant();
  const bool whole = (end && *end >= kFar) || symbols.Same(slice.end, dim);
  if (start == 0 && whole && slice.step == 1) return dim;
  if (start && end && size && slice.step > 0 && *size <= (1 << 20)) {
    return Expr(static_cast<int64_t>(Taken(*start, *end, slice.step, *size).size()));
  }
  const std::string shown = "slice(" + symbols.Text(slice.start) + ", " + symbols.Text(slice.end) +
                            ", " + std::to_string(slice.step) + ") of " + symbols.Text(dim);
  const auto length = Sum(slice.end, slice.start, -1);
  const bool forward = slice.step == 1 && slice.start.NonNegative() && slice.end.NonNegative();
  if (forward && length && length->NonNegative() && (!end || *end < kFar)) {
    return symbols.AtMost(*length, "(" + shown + ")");
  }
  // The last n elements, from dim - n on: n, or fewer where there are not so many.
  const auto rest = Sum(dim, slice.start, -1);
  if (slice.step == 1 && whole && !start && rest && rest->NonNegative()) {
    return symbols.AtMost(*rest, "(" + shown + ")");
  }
  return shown.size() > 400 ? symbols.Fresh() : symbols.Named(shown, "(" + shown + ")");
}

}  // namespace

void SliceRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  c.Out().type = data.type;
  if (!data.ranked) return;
  const auto slices = Slices(c, data.rank());
  c.Out().ranked = true;
  c.Out().dims = data.dims;
  if (!slices) {  // which axes shrink is unknown unless they are constant
    const auto axes = SliceList(c, "axes", 3);
    for (size_t i = 0; i < data.rank(); ++i) {
      const bool kept = axes && std::none_of(axes->begin(), axes->end(), [&](int64_t axis) {
                          return NormalAxis(axis, data.rank()) == static_cast<int64_t>(i);
                        });
      if (!kept) c.Out().dims[i] = c.symbols.Fresh();
    }
    return;
  }
  for (const Slice& slice : *slices) {
    Expr& dim = c.Out().dims[slice.axis];
    dim = slice.step == 0 ? c.symbols.Fresh() : SlicedDim(c.symbols, slice, dim);
  }
  if (data.rank() != 1 || slices->size() != 1 || !data.ints) return;
  const Slice& slice = slices->front();
  const auto start = slice.start.Constant(), end = slice.end.Constant();
  if (!start || !end || slice.step <= 0) return;
  Elements result;
  for (const size_t at : Taken(*start, *end, slice.step, static_cast<int64_t>(data.ints->size()))) {
    result.push_back((*data.ints)[at]);
  }
  c.Out().ints = std::move(result);
}

}  // namespace backendctx::patterns
