#include "patterns/shape_rules.h"

#include <algorithm>

namespace backendctx::patterns {

const Fact& RuleContext::In(size_t i) const {
  static const Fact kUnknown;
  return Has(i) ? *inputs[i] : kUnknown;
}

Rule FindRule(const std::string& op_type) {
  const Rule rule = FindArithmeticRule(op_type);
  return rule ? rule : FindLayoutRule(op_type);
}

void SameAsFirst(RuleContext& c) {
  if (!c.Has(0)) return;
  c.Out().type = c.In(0).type;
  c.Out().ranked = c.In(0).ranked;
  c.Out().dims = c.In(0).dims;
}

std::optional<int64_t> NormalAxis(int64_t axis, size_t rank) {
  const auto size = static_cast<int64_t>(rank);
  if (axis < -size || axis >= size) return std::nullopt;
  return axis < 0 ? axis + size : axis;
}

std::optional<std::vector<int64_t>> ConstantInts(const Fact& fact) {
  if (!fact.ints) return std::nullopt;
  std::vector<int64_t> result;
  for (const auto& element : *fact.ints) {
    const auto constant = element ? element->Constant() : std::nullopt;
    if (!constant) return std::nullopt;
    result.push_back(*constant);
  }
  return result;
}

std::optional<std::vector<int64_t>> Axes(const RuleContext& context, size_t index) {
  if (const model::Attribute* axes = context.node.Find("axes")) return axes->ints;
  if (!context.Has(index)) return std::nullopt;
  return ConstantInts(context.In(index));
}

std::optional<int64_t> ElementCount(const Fact& fact) {
  if (!fact.ranked) return std::nullopt;
  int64_t count = 1;
  for (const Expr& dim : fact.dims) {
    const auto size = dim.Constant();
    if (!size || __builtin_mul_overflow(count, *size, &count)) return std::nullopt;
  }
  return count;
}

bool BroadcastDims(Symbols& symbols, const std::vector<const Fact*>& inputs,
                   std::vector<Expr>* dims) {
  size_t rank = 0;
  for (const Fact* input : inputs) {
    if (!input || !input->ranked) return false;
    rank = std::max(rank, input->rank());
  }
  dims->assign(rank, Expr(1));
  for (const Fact* input : inputs) {
    const size_t offset = rank - input->rank();
    for (size_t i = 0; i < input->rank(); ++i) {
      Expr& dim = (*dims)[offset + i];
      dim = symbols.Broadcast(dim, input->dims[i]);
    }
  }
  return true;
}

}  // namespace backendctx::patterns
