// Shape and value rules of the operators. Internal to patterns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/graph_view.h"
#include "patterns/facts.h"

namespace backendctx::patterns {

// What is known of a computed list: each element or nothing.
using Elements = std::vector<std::optional<Expr>>;

// One node under evaluation. Rules set what they can prove of `outputs`; a fact left empty is
// filled from the declared type.
struct RuleContext {
  const model::Node& node;
  int64_t opset;
  Symbols& symbols;
  std::vector<const Fact*> inputs;  // null: absent
  std::vector<Fact> outputs;

  bool Has(size_t i) const { return i < inputs.size() && inputs[i]; }
  const Fact& In(size_t i) const;
  Fact& Out() { return outputs.front(); }
};

using Rule = void (*)(RuleContext&);

// Null: the operator is not known here.
Rule FindRule(const std::string& op_type);
// The tables that FindRule looks in, by what the rules are about.
Rule FindArithmeticRule(const std::string& op_type);  // elementwise, comparisons, products
Rule FindLayoutRule(const std::string& op_type);      // shapes, slices, reshapes
Rule FindMicrosoftRule(const std::string& op_type);   // of the domain com.microsoft

void SameAsFirst(RuleContext& context);  // type and shape of the first input
void MatMulRule(RuleContext& context);
void EinsumRule(RuleContext& context);

void SliceRule(RuleContext& context);

// ---- shared by the rules ----
std::optional<int64_t> NormalAxis(int64_t axis, size_t rank);  // nothing when out of range
// Constant elements of an input; nothing when any is unknown.
std::optional<std::vector<int64_t>> ConstantInts(const Fact& fact);
// The axes of an operator that took them as an attribute until they became input `index`.
std::optional<std::vector<int64_t>> Axes(const RuleContext& context, size_t index);
std::optional<int64_t> ElementCount(const Fact& fact);
// The shape of elementwise operators; false: unknown rank somewhere.
bool BroadcastDims(Symbols& symbols, const std::vector<const Fact*>& inputs,
                   std::vector<Expr>* dims);

}  // namespace backendctx::patterns
