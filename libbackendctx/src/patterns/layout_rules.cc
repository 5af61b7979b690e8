// Operators that compute with shapes, and those that move elements without changing them.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

void KeepContents(const Fact& from, Fact* to) {
  to->type = from.type;
  to->ints = from.ints;
  to->floats = from.floats;
}

void ShapeRule(RuleContext& c) {
  c.Out().type = kInt64;
  c.Out().ranked = true;
  if (!c.Has(0) || !c.In(0).ranked) {
    c.Out().dims = {c.symbols.Fresh()};
    return;
  }
  const auto& dims = c.In(0).dims;
  const auto rank = static_cast<int64_t>(dims.size());
  auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamped(c.node.Int("start", 0));
  const int64_t end = std::max(start, clamped(c.node.Int("end", rank)));
  c.Out().dims = {Expr(end - start)};
  if (dims.size() <= kMaxElements)
    c.Out().ints = Elements(dims.begin() + start, dims.begin() + end);
}

void SizeRule(RuleContext& c) {
  c.Out().type = kInt64;
  c.Out().ranked = true;
  if (!c.Has(0) || !c.In(0).ranked) return;
  Expr product(1);
  for (const Expr& dim : c.In(0).dims) product = c.symbols.Multiply(product, dim);
  c.Out().ints = Elements{product};
}

void GatherRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &data = c.In(0), &indices = c.In(1);
  c.Out().type = data.type;
  if (!data.ranked || !indices.ranked) return;
  const auto axis = NormalAxis(c.node.Int("axis", 0), data.rank());
  if (!axis) return;
  c.Out().ranked = true;
  c.Out().dims.assign(data.dims.begin(), data.dims.begin() + *axis);
  c.Out().dims.insert(c.Out().dims.end(), indices.dims.begin(), indices.dims.end());
  c.Out().dims.insert(c.Out().dims.end(), data.dims.begin() + *axis + 1, data.dims.end());
  const auto at = ConstantInts(indices);
  if (!at || data.rank() != 1 || !data.ints) return;
  const auto size = static_cast<int64_t>(data.ints->size());
  Elements result;
  for (const int64_t index : *at) {
    const int64_t normal = index < 0 ? index + size : index;
    if (normal < 0 || normal >= size) return;
    result.push_back((*data.ints)[static_cast<size_t>(normal)]);
  }
  c.Out().ints = std::move(result);
}

void GatherNDRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &data = c.In(0), &indices = c.In(1);
  c.Out().type = data.type;
  if (!data.ranked || !indices.ranked || indices.rank() == 0) return;
  const auto depth = indices.dims.back().Constant();
  const int64_t batch = c.node.Int("batch_dims", 0);
  const auto rank = static_cast<int64_t>(data.rank());
  if (!depth || batch < 0 || *depth < 0 || *depth > rank || batch > rank - *depth) return;
  c.Out().ranked = true;
  c.Out().dims.assign(indices.dims.begin(), indices.dims.end() - 1);
  c.Out().dims.insert(c.Out().dims.end(), data.dims.begin() + batch + *depth, data.dims.end());
}

void GatherElementsRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  c.Out().type = c.In(0).type;
  c.Out().ranked = c.In(1).ranked;
  c.Out().dims = c.In(1).dims;
}

void ConcatRule(RuleContext& c) {
  c.Out().ranked = true;
  Elements joined;
  bool contents = true;
  std::optional<int64_t> axis;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Fact& part = c.In(i);
    if (part.type != kUnknownType) c.Out().type = part.type;
    if (!part.ranked || (i > 0 && part.rank() != c.In(0).rank())) {
      c.Out().ranked = false;
      return;
    }
    axis = NormalAxis(c.node.Int("axis", 0), part.rank());
    if (!axis) {
      c.Out().ranked = false;
      return;
    }
    if (i == 0) {
      c.Out().dims = part.dims;
    } else {
      for (size_t d = 0; d < part.rank(); ++d) {
        Expr& out = c.Out().dims[d];
        if (static_cast<int64_t>(d) == *axis) {
          out = c.symbols.Add(out, part.dims[d]);
        } else if (!out.Constant() && part.dims[d].Constant()) {
          out = part.dims[d];
        }
      }
    }
    contents = contents && part.ints && part.rank() == 1;
    if (contents) joined.insert(joined.end(), part.ints->begin(), part.ints->end());
  }
  if (contents && !c.inputs.empty() && joined.size() <= kMaxElements) c.Out().ints = joined;
}

void UnsqueezeRule(RuleContext& c) {
  const auto axes = Axes(c, 1);
  if (!c.Has(0) || !axes) return;
  const Fact& data = c.In(0);
  KeepContents(data, &c.Out());
  if (!data.ranked) return;
  const size_t rank = data.rank() + axes->size();
  std::vector<bool> inserted(rank, false);
  for (const int64_t axis : *axes) {
    const auto normal = NormalAxis(axis, rank);
    if (!normal || inserted[static_cast<size_t>(*normal)]) return;
    inserted[static_cast<size_t>(*normal)] = true;
  }
  c.Out().ranked = true;
  auto next = data.dims.begin();
  for (size_t i = 0; i < rank; ++i) c.Out().dims.push_back(inserted[i] ? Expr(1) : *next++);
}

void SqueezeRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  KeepContents(data, &c.Out());
  if (!data.ranked) return;
  const bool has_axes = c.Has(1) || c.node.Find("axes");
  const auto axes = Axes(c, 1);
  if (has_axes && !axes) return;
  std::vector<bool> dropped(data.rank(), false);
  for (size_t i = 0; i < data.rank() && !has_axes; ++i) {
    if (!data.dims[i].Constant()) return;  // may be 1 or not: the rank is unknown
    dropped[i] = data.dims[i].Is(1);
  }
  for (size_t i = 0; has_axes && i < axes->size(); ++i) {
    const auto normal = NormalAxis((*axes)[i], data.rank());
    if (!normal) return;
    dropped[static_cast<size_t>(*normal)] = true;
  }
  c.Out().ranked = true;
  for (size_t i = 0; i < data.rank(); ++i) {
    if (!dropped[i]) c.Out().dims.push_back(data.dims[i]);
  }
}

// The dimensions that a tensor of sizes spells out; an element that may be negative, or is unknown,
// gives an unknown one.
std::vector<Expr> DimsFromElements(Symbols& symbols, const Elements& elements) {
  std::vector<Expr> dims;
  for (const auto& element : elements) {
    dims.push_back(element && element->NonNegative() ? *element : symbols.Fresh());
  }
  return dims;
}

// Gives one dimension what the others leave over of the total.
void FillRest(Symbols& symbols, const Fact& data, size_t at, std::vector<Expr>* dims) {
  Expr total(1), others(1);
  for (const Expr& dim : data.dims) total = symbols.Multiply(total, dim);
  for (size_t i = 0; i < dims->size(); ++i) {
    if (i != at) others = symbols.Multiply(others, (*dims)[i]);
  }
  (*dims)[at] = others.Is(0) ? symbols.Fresh() : symbols.Quotient(total, others);
}

void ReshapeRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &data = c.In(0), &shape = c.In(1);
  KeepContents(data, &c.Out());
  if (!shape.ints) {
    const auto count = ElementCount(shape);  // how many there are is the rank
    if (!count || shape.rank() != 1 || *count > static_cast<int64_t>(kMaxElements)) return;
    c.Out().ranked = true;
    for (int64_t i = 0; i < *count; ++i) c.Out().dims.push_back(c.symbols.Fresh());
    return;
  }
  c.Out().ranked = true;
  c.Out().dims = DimsFromElements(c.symbols, *shape.ints);
  std::vector<size_t> unknown;
  for (size_t i = 0; i < shape.ints->size(); ++i) {
    const auto& element = (*shape.ints)[i];
    const bool copies = element && element->Is(0) && c.node.Int("allowzero", 0) == 0;
    if (copies) {
      const bool there = data.ranked && i < data.rank();
      c.Out().dims[i] = there ? data.dims[i] : c.symbols.Fresh();
      if (!there) unknown.push_back(i);
    } else if (!element || !element->NonNegative()) {
      unknown.push_back(i);
    }
  }
  if (unknown.size() == 1 && data.ranked) FillRest(c.symbols, data, unknown[0], &c.Out().dims);
}

void FlattenRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  KeepContents(data, &c.Out());
  if (!data.ranked) return;
  int64_t axis = c.node.Int("axis", 1);
  if (axis < 0) axis += static_cast<int64_t>(data.rank());
  if (axis < 0 || axis > static_cast<int64_t>(data.rank())) return;
  c.Out().ranked = true;
  c.Out().dims = {Expr(1), Expr(1)};
  for (size_t i = 0; i < data.rank(); ++i) {
    Expr& dim = c.Out().dims[static_cast<int64_t>(i) < axis ? 0 : 1];
    dim = c.symbols.Multiply(dim, data.dims[i]);
  }
}

void TransposeRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  c.Out().type = data.type;
  if (!data.ranked) return;
  if (data.rank() < 2) KeepContents(data, &c.Out());
  const model::Attribute* perm = c.node.Find("perm");
  std::vector<Expr> dims;
  for (size_t i = 0; i < data.rank(); ++i) {
    int64_t from = static_cast<int64_t>(data.rank() - 1 - i);
    if (perm) {
      if (perm->ints.size() != data.rank()) return;
      from = perm->ints[i];
      if (from < 0 || from >= static_cast<int64_t>(data.rank())) return;
    }
    dims.push_back(data.dims[static_cast<size_t>(from)]);
  }
  c.Out().ranked = true;
  c.Out().dims = std::move(dims);
}

void ExpandRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact& data = c.In(0);
  c.Out().type = data.type;
  if (!c.In(1).ints) return;
  Fact target;
  target.ranked = true;
  target.dims = DimsFromElements(c.symbols, *c.In(1).ints);
  c.Out().ranked = BroadcastDims(c.symbols, {&data, &target}, &c.Out().dims);
  const auto count = ElementCount(c.Out());
  const bool repeats =
      count && *count <= static_cast<int64_t>(kMaxElements) && ElementCount(data) == 1 && data.ints;
  if (repeats) c.Out().ints = Elements(static_cast<size_t>(*count), data.ints->front());
}

void TileRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &data = c.In(0), &repeats = c.In(1);
  c.Out().type = data.type;
  if (!data.ranked || !repeats.ints || repeats.ints->size() != data.rank()) return;
  c.Out().ranked = true;
  for (size_t i = 0; i < data.rank(); ++i) {
    const auto& times = (*repeats.ints)[i];
    const bool known = times && times->NonNegative();
    c.Out().dims.push_back(known ? c.symbols.Multiply(data.dims[i], *times) : c.symbols.Fresh());
  }
}

void ConstantOfShapeRule(RuleContext& c) {
  c.Out().type = kFloat;
  const model::Attribute* value = c.node.Find("value");
  if (value && value->tensor) c.Out().type = value->tensor->element_type;
  if (!c.Has(0) || !c.In(0).ints) return;
  c.Out().ranked = true;
  c.Out().dims = DimsFromElements(c.symbols, *c.In(0).ints);
  const auto count = ElementCount(c.Out());
  if (!count || *count > static_cast<int64_t>(kMaxElements)) return;
  const auto n = static_cast<size_t>(*count);
  if (!value) {
    c.Out().floats.emplace(n, 0.0f);
  } else if (value->tensor && c.Out().type == kInt64 && value->tensor->bytes.size() == 8) {
    int64_t element = 0;
    std::copy_n(value->tensor->bytes.data(), 8, reinterpret_cast<char*>(&element));
    c.Out().ints = Elements(n, Expr(element));
  }
}

void RangeRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1) || !c.Has(2)) return;
  c.Out().type = c.In(0).type;
  c.Out().ranked = true;
  c.Out().dims = {c.symbols.Fresh()};
  const auto start = c.In(0).ints, limit = c.In(1).ints, delta = c.In(2).ints;
  const bool known = start && limit && delta && start->size() == 1 && limit->size() == 1 &&
                     delta->size() == 1 && start->front() && limit->front() && delta->front();
  if (!known || !delta->front()->Is(1)) return;
  const auto length = Sum(*limit->front(), *start->front(), -1);
  if (length && length->NonNegative()) c.Out().dims = {*length};
}

void SplitRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  const auto axis = data.ranked ? NormalAxis(c.node.Int("axis", 0), data.rank()) : std::nullopt;
  std::optional<std::vector<int64_t>> sizes;
  if (const model::Attribute* split = c.node.Find("split")) sizes = split->ints;
  const bool computed = c.Has(1);
  if (computed) sizes = ConstantInts(c.In(1));
  const auto parts = static_cast<int64_t>(c.outputs.size());
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    Fact& out = c.outputs[i];
    out.type = data.type;
    if (!axis) continue;
    out.ranked = true;
    out.dims = data.dims;
    Expr& dim = out.dims[static_cast<size_t>(*axis)];
    if (sizes && i < sizes->size()) {
      dim = Expr((*sizes)[i]);
    } else {
      const auto even = ExactQuotient(dim, Expr(parts));
      dim = even && !computed ? *even : c.symbols.Fresh();
    }
  }
}

void ReduceRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& data = c.In(0);
  c.Out().type = data.type;
  const bool has_axes = c.Has(1) || c.node.Find("axes");
  const auto axes = Axes(c, 1);
  if (!data.ranked || !has_axes || !axes) return;
  std::vector<bool> reduced(data.rank(), false);
  for (const int64_t axis : *axes) {
    const auto normal = NormalAxis(axis, data.rank());
    if (!normal) return;
    reduced[static_cast<size_t>(*normal)] = true;
  }
  c.Out().ranked = true;
  for (size_t i = 0; i < data.rank(); ++i) {
    if (!reduced[i]) c.Out().dims.push_back(data.dims[i]);
    if (reduced[i] && c.node.Int("keepdims", 1) != 0) c.Out().dims.push_back(Expr(1));
  }
}

}  // namespace

Rule FindLayoutRule(const std::string& op_type) {
  static const std::unordered_map<std::string, Rule> kRules = {
      {"Shape", ShapeRule},
      {"Size", SizeRule},
      {"Gather", GatherRule},
      {"GatherND", GatherNDRule},
      {"GatherElements", GatherElementsRule},
      {"Concat", ConcatRule},
      {"Unsqueeze", UnsqueezeRule},
      {"Squeeze", SqueezeRule},
      {"Slice", SliceRule},
      {"Reshape", ReshapeRule},
      {"Flatten", FlattenRule},
      {"Transpose", TransposeRule},
      {"Expand", ExpandRule},
      {"Tile", TileRule},
      {"Range", RangeRule},
      {"ConstantOfShape", ConstantOfShapeRule},
      {"Split", SplitRule},
      {"ReduceMean", ReduceRule},
      {"ReduceSum", ReduceRule},
      {"ReduceMax", ReduceRule},
      {"ReduceMin", ReduceRule},
      {"ReduceL2", ReduceRule},
  };
  const auto found = kRules.find(op_type);
  return found == kRules.end() ? nullptr : found->second;
}

}  // namespace backendctx::patterns
