// Elementwise operators, comparisons, casts and products.
#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_map>

#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

// ---- shape only ---------------------------------------------------------------------------------

void BoolAsFirst(RuleContext& c) {
  SameAsFirst(c);
  c.Out().type = kBool;
}

void TypeOfSecond(RuleContext& c) {  // DequantizeLinear: the scale's type
  SameAsFirst(c);
  c.Out().type = c.Has(1) ? c.In(1).type : kUnknownType;
}

void Identity(RuleContext& c) {
  if (c.Has(0)) c.Out() = c.In(0);
}

void Elementwise(RuleContext& c) {
  for (const Fact* input : c.inputs) {
    if (input && input->type != kUnknownType) c.Out().type = input->type;
  }
  c.Out().ranked = BroadcastDims(c.symbols, c.inputs, &c.Out().dims);
}

void Comparison(RuleContext& c) {
  Elementwise(c);
  c.Out().type = kBool;
}

// ---- integer and float contents -----------------------------------------------------------------

// Element i of an operand that has one element or as many as the result.
template <typename T>
const T& At(const std::vector<T>& elements, size_t i) {
  return elements[elements.size() == 1 ? 0 : i];
}

// The element count of a result with this broadcast shape, where contents are kept at all: each
// operand has one element or all of them, so that broadcasting is by position.
std::optional<size_t> ResultCount(const RuleContext& c, const Fact& result, size_t operands) {
  const auto count = ElementCount(result);
  if (!count || *count > static_cast<int64_t>(kMaxElements)) return std::nullopt;
  for (size_t i = 0; i < operands; ++i) {
    if (!c.Has(i)) return std::nullopt;
    const auto own = ElementCount(c.In(i));
    if (!own || (*own != 1 && *own != *count)) return std::nullopt;
  }
  return static_cast<size_t>(*count);
}

using IntRule = std::optional<Expr> (*)(Symbols&, const Expr&, const Expr&);
using FloatRule = float (*)(float, float);

void Contents(RuleContext& c, IntRule on_ints, FloatRule on_floats) {
  Elementwise(c);
  const auto count = ResultCount(c, c.Out(), 2);
  if (!count || c.inputs.size() != 2) return;
  const Fact &a = c.In(0), &b = c.In(1);
  if (on_ints && a.ints && b.ints) {
    Elements result(*count);
    for (size_t i = 0; i < *count; ++i) {
      const auto &x = At(*a.ints, i), &y = At(*b.ints, i);
      if (x && y) result[i] = on_ints(c.symbols, *x, *y);
    }
    c.Out().ints = std::move(result);
  }
  if (on_floats && a.floats && b.floats) {
    std::vector<float> result(*count);
    for (size_t i = 0; i < *count; ++i) result[i] = on_floats(At(*a.floats, i), At(*b.floats, i));
    c.Out().floats = std::move(result);
  }
}

std::optional<Expr> IntQuotient(Symbols& symbols, const Expr& a, const Expr& b) {
  if (b.Is(0)) return std::nullopt;
  const bool constant = a.Constant() && b.Constant();
  if (!constant && (!a.NonNegative() || !b.NonNegative())) return std::nullopt;
  return symbols.Quotient(a, b);
}

void AddRule(RuleContext& c) {
  Contents(
      c, [](Symbols&, const Expr& a, const Expr& b) { return Sum(a, b); },
      [](float a, float b) { return a + b; });
}

void SubRule(RuleContext& c) {
  Contents(
      c, [](Symbols&, const Expr& a, const Expr& b) { return Sum(a, b, -1); },
      [](float a, float b) { return a - b; });
}

void MulRule(RuleContext& c) {
  Contents(
      c, [](Symbols&, const Expr& a, const Expr& b) { return Product(a, b); },
      [](float a, float b) { return a * b; });
}

void DivRule(RuleContext& c) {
  Contents(c, IntQuotient, [](float a, float b) { return a / b; });
}

void PowRule(RuleContext& c) {
  Elementwise(c);
  c.Out().type = c.Has(0) ? c.In(0).type : kUnknownType;
  const auto count = ResultCount(c, c.Out(), 2);
  if (!count || !c.In(0).floats || !c.In(1).floats) return;
  c.Out().floats.emplace(*count);
  for (size_t i = 0; i < *count; ++i) {
    (*c.Out().floats)[i] = std::pow(At(*c.In(0).floats, i), At(*c.In(1).floats, i));
  }
}

template <float (*kFunction)(float)>
void FloatFunction(RuleContext& c) {
  SameAsFirst(c);
  if (!c.Has(0) || !c.In(0).floats) return;
  c.Out().floats = c.In(0).floats;
  for (float& element : *c.Out().floats) element = kFunction(element);
}

float Root(float x) { return std::sqrt(x); }
float Inverse(float x) { return 1.0f / x; }
float Negated(float x) { return -x; }

// 1, 0 or nothing: whether two sizes are equal in every run.
std::optional<Expr> EqualElements(Symbols& symbols, const Expr& a, const Expr& b) {
  if (symbols.Same(a, b)) return Expr(1);
  for (const auto& difference : {Sum(a, b, -1), Sum(b, a, -1)}) {
    if (!difference || !difference->NonNegative()) continue;
    const auto constant = difference->terms().find({});
    if (constant != difference->terms().end() && constant->second > 0) return Expr(0);
  }
  return std::nullopt;
}

void EqualRule(RuleContext& c) {
  Contents(c, EqualElements, nullptr);
  c.Out().type = kBool;
}

void WhereRule(RuleContext& c) {
  c.Out().type = c.Has(1) && c.In(1).type ? c.In(1).type : (c.Has(2) ? c.In(2).type : kUnknownType);
  c.Out().ranked = BroadcastDims(c.symbols, c.inputs, &c.Out().dims);
  const auto count = ResultCount(c, c.Out(), 3);
  if (!count || !c.In(0).ints || !c.In(1).ints || !c.In(2).ints) return;
  Elements result(*count);
  for (size_t i = 0; i < *count; ++i) {
    const auto& condition = At(*c.In(0).ints, i);
    if (!condition || !condition->Constant()) continue;
    result[i] = At(*c.In(condition->Is(0) ? 2 : 1).ints, i);
  }
  c.Out().ints = std::move(result);
}

bool IsInteger(int32_t type) { return type == kInt64 || type == kInt32; }

void CastContents(const Fact& from, int32_t type, Fact* to) {
  if (from.ints && IsInteger(type)) to->ints = from.ints;
  if (from.ints && type == kBool) {
    to->ints.emplace();
    for (const auto& element : *from.ints) {
      const auto constant = element ? element->Constant() : std::nullopt;
      to->ints->push_back(constant ? std::optional<Expr>(*constant != 0 ? 1 : 0) : std::nullopt);
    }
  }
  if (from.floats && type == kFloat) to->floats = from.floats;
  const auto constants = ConstantInts(from);
  if (constants && type == kFloat) {
    to->floats.emplace();
    for (const int64_t element : *constants) to->floats->push_back(static_cast<float>(element));
  }
  if (from.floats && IsInteger(type)) {
    to->ints.emplace();
    for (const float element : *from.floats) {
      const bool fits = std::fabs(element) < 1e9f;
      to->ints->push_back(fits ? std::optional<Expr>(static_cast<int64_t>(element)) : std::nullopt);
    }
  }
}

void CastRule(RuleContext& c) {
  SameAsFirst(c);
  c.Out().type = static_cast<int32_t>(c.node.Int("to", kUnknownType));
  if (c.Has(0)) CastContents(c.In(0), c.Out().type, &c.Out());
}

void CastLikeRule(RuleContext& c) {
  SameAsFirst(c);
  c.Out().type = c.Has(1) ? c.In(1).type : kUnknownType;
  if (c.Has(0)) CastContents(c.In(0), c.Out().type, &c.Out());
}

// ---- products -----------------------------------------------------------------------------------

void GemmRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(1)) return;
  const Fact &a = c.In(0), &b = c.In(1);
  c.Out().type = a.type ? a.type : b.type;
  if (!a.ranked || !b.ranked || a.rank() != 2 || b.rank() != 2) return;
  c.Out().ranked = true;
  c.Out().dims = {a.dims[c.node.Int("transA", 0) ? 1 : 0], b.dims[c.node.Int("transB", 0) ? 0 : 1]};
}

// Y of Attention: (B, Hq, Sq, Dv), or packed (B, Sq, Hq * Dv).
void AttentionRule(RuleContext& c) {
  if (!c.Has(0) || !c.Has(2)) return;
  const Fact &q = c.In(0), &v = c.In(2);
  c.Out().type = q.type;
  if (!q.ranked || !v.ranked || q.rank() != v.rank()) return;
  if (q.rank() == 4) {
    c.Out().ranked = true;
    c.Out().dims = {q.dims[0], q.dims[1], q.dims[2], v.dims[3]};
  } else if (q.rank() == 3) {
    const Expr q_heads(c.node.Int("q_num_heads", 0)), kv_heads(c.node.Int("kv_num_heads", 0));
    const auto v_head = ExactQuotient(v.dims[2], kv_heads);
    if (!v_head) return;
    c.Out().ranked = true;
    c.Out().dims = {q.dims[0], q.dims[1], c.symbols.Multiply(q_heads, *v_head)};
  }
}

}  // namespace

Rule FindArithmeticRule(const std::string& op_type) {
  static const std::unordered_map<std::string, Rule> kRules = [] {
    std::unordered_map<std::string, Rule> rules = {
        {"Identity", Identity},
        {"Add", AddRule},
        {"Sub", SubRule},
        {"Mul", MulRule},
        {"Div", DivRule},
        {"Pow", PowRule},
        {"Equal", EqualRule},
        {"Where", WhereRule},
        {"Cast", CastRule},
        {"CastLike", CastLikeRule},
        {"MatMul", MatMulRule},
        {"Gemm", GemmRule},
        {"Einsum", EinsumRule},
        {"Sqrt", FloatFunction<Root>},
        {"Reciprocal", FloatFunction<Inverse>},
        {"Neg", FloatFunction<Negated>},
        {"Attention", AttentionRule},
        {"DequantizeLinear", TypeOfSecond},
    };
    for (const char* op : {"Dropout",
                           "Relu",
                           "Tanh",
                           "Erf",
                           "Exp",
                           "Log",
                           "Sigmoid",
                           "Softmax",
                           "LogSoftmax",
                           "Abs",
                           "Gelu",
                           "Clip",
                           "Sin",
                           "Cos",
                           "Floor",
                           "Ceil",
                           "Round",
                           "Softplus",
                           "LeakyRelu",
                           "Elu",
                           "HardSigmoid",
                           "Trilu",
                           "CumSum",
                           "LayerNormalization",
                           "RMSNormalization",
                           "RotaryEmbedding",
                           "SimplifiedLayerNormalization",
                           "BatchNormalization"}) {
      rules[op] = SameAsFirst;
    }
    for (const char* op : {"IsNaN", "IsInf", "Not"}) rules[op] = BoolAsFirst;
    for (const char* op :
         {"And", "Or", "Xor", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
      rules[op] = Comparison;
    }
    for (const char* op : {"Max", "Min", "Mean", "Mod", "Sum"}) rules[op] = Elementwise;
    return rules;
  }();
  const auto found = kRules.find(op_type);
  return found == kRules.end() ? nullptr : found->second;
}

}  // namespace backendctx::patterns
