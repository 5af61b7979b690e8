// Products, and the operators of ONNX Runtime's own domain that stand beside attention.
#include <unordered_map>

#include "patterns/product.h"
#include "patterns/shape_rules.h"

namespace backendctx::patterns {

void MatMulRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &a = c.In(0), &b = c.In(1);
  c.Out().type = a.type ? a.type : b.type;
  if (!a.ranked || !b.ranked || a.rank() < 2 || b.rank() < 2) return;
  c.symbols.Assume(a.dims[a.rank() - 1], b.dims[b.rank() - 2]);
  Fact left, right;
  left.ranked = right.ranked = true;
  left.dims.assign(a.dims.begin(), a.dims.end() - 2);
  right.dims.assign(b.dims.begin(), b.dims.end() - 2);
  c.Out().ranked = BroadcastDims(c.symbols, {&left, &right}, &c.Out().dims);
  c.Out().dims.push_back(a.dims[a.rank() - 2]);
  c.Out().dims.push_back(b.dims[b.rank() - 1]);
}

void EinsumRule(RuleContext& c) {
  const auto subscripts = ReadSubscripts(c.node);
  if (!c.Has(0)) return;
  c.Out().type = c.In(0).type;
  if (!subscripts || subscripts->inputs.size() != c.inputs.size()) return;
  std::unordered_map<char, Expr> sizes;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const std::string& labels = subscripts->inputs[i];
    if (!c.In(i).ranked || c.In(i).rank() != labels.size()) return;
    for (size_t axis = 0; axis < labels.size(); ++axis) {
      const Expr& size = c.In(i).dims[axis];
      const auto [known, is_new] = sizes.emplace(labels[axis], size);
      if (is_new) continue;
      c.symbols.Assume(known->second, size);
      known->second = c.symbols.Broadcast(known->second, size);
    }
  }
  for (const char label : subscripts->output) {
    if (!sizes.count(label)) return;
    c.Out().dims.push_back(sizes[label]);
  }
  c.Out().ranked = true;
}

namespace {

void FusedMatMulRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  if (c.node.Int("transBatchA", 0) != 0 || c.node.Int("transBatchB", 0) != 0) return;
  Fact operands[2] = {c.In(0), c.In(1)};
  const char* turns[2] = {"transA", "transB"};
  for (size_t i = 0; i < 2; ++i) {
    auto& dims = operands[i].dims;
    if (c.node.Int(turns[i], 0) != 0 && dims.size() >= 2) {
      std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
    }
  }
  RuleContext plain{c.node, c.opset, c.symbols, {&operands[0], &operands[1]}, {Fact()}};
  MatMulRule(plain);
  c.Out() = std::move(plain.Out());
}

// Y of MultiHeadAttention and GroupQueryAttention: (B, S, heads * value head size).
void HeadsRule(RuleContext& c) {
  if (!c.Has(0)) return;
  const Fact& q = c.In(0);
  c.Out().type = q.type;
  if (!q.ranked || q.rank() != 3 || !c.Has(2) || !c.In(2).ranked) return;
  const Fact& v = c.In(2);
  c.Out().dims = {q.dims[0], q.dims[1], c.symbols.Fresh()};
  const Expr heads(c.node.Int("num_heads", 0)), kv_heads(c.node.Int("kv_num_heads", 0));
  std::optional<Expr> head;
  if (v.rank() == 4) head = v.dims[3];
  if (v.rank() == 3) head = ExactQuotient(v.dims[2], kv_heads.Is(0) ? heads : kv_heads);
  if (head) c.Out().dims[2] = c.symbols.Multiply(heads, *head);
  c.Out().ranked = true;
}

}  // namespace

Rule FindMicrosoftRule(const std::string& op_type) {
  static const std::unordered_map<std::string, Rule> kRules = {
      {"FusedMatMul", FusedMatMulRule},
      {"MultiHeadAttention", HeadsRule},
      {"GroupQueryAttention", HeadsRule},
      {"SkipLayerNormalization", SameAsFirst},
      {"SkipSimplifiedLayerNormalization", SameAsFirst},
      {"RotaryEmbedding", SameAsFirst},
      {"BiasGelu", SameAsFirst},
      {"FastGelu", SameAsFirst},
      {"Gelu", SameAsFirst},
      {"QuickGelu", SameAsFirst},
  };
  const auto found = kRules.find(op_type);
  return found == kRules.end() ? nullptr : found->second;
}

}  // namespace backendctx::patterns
