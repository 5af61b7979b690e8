// The fused attention operators of com.microsoft, and why most are left to the runtime.
#include <fmt/format.h>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

enum FusedInput {
  kFusedQuery,
  kFusedKey,
  kFusedValue,
  kBias,
  kPaddingMask,
  kAttentionBias,
  kFusedPastKey,
  kFusedPastValue
};

std::string UnsupportedFused(const Node& node) {
  if (!IsGiven(node.inputs, kFusedQuery)) return "Q is missing";
  if (!IsGiven(node.inputs, kFusedKey) || !IsGiven(node.inputs, kFusedValue)) {
    return "Q, K and V are packed in one tensor";
  }
  static constexpr struct {
    FusedInput input;
    const char* what;
  } kInputs[] = {{kBias, "it adds a bias to Q, K and V"},
                 {kPaddingMask, "it has a key padding mask"},
                 {kFusedPastKey, "it has a past key or value"},
                 {kFusedPastValue, "it has a past key or value"}};
  for (const auto& [input, what] : kInputs) {
    if (IsGiven(node.inputs, input)) return what;
  }
  for (size_t i = kFusedPastValue + 1; i < node.inputs.size(); ++i) {
    if (IsGiven(node.inputs, i)) return "it has inputs that are not known here";
  }
  static constexpr const char* kOutputs[] = {"present_key", "present_value", "qk"};
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (IsGiven(node.outputs, i)) {
      return fmt::format("it gives {}", i < 4 ? kOutputs[i - 1] : "more outputs");
    }
  }
  for (const model::Attribute& attribute : node.attributes) {
    const std::string& name = attribute.name;
    if (name == "num_heads" || name == "scale" || name == "mask_filter_value") continue;
    if (name == "unidirectional") continue;
    return fmt::format("its attribute {} is not known here", name);
  }
  // Its causal mask is a large finite number, which a mask of minus infinity could undercut.
  if (node.Int("unidirectional", 0) != 0 && IsGiven(node.inputs, kAttentionBias)) {
    return "it is causal and has an attention bias";
  }
  return "";
}

// K or V: packed as Q is, or (B, H, T, D).
Chain KeyOrValue(const GraphView& graph, Facts* facts, const std::string& value, int64_t heads) {
  if (facts->Of(value).rank() != 4) return PackedOperand(*facts, value, heads);
  return WalkBack(graph, facts, value,
                  {{{kBatch, kHead, kSequence, kChannel}, std::nullopt}, false, false});
}

}  // namespace

std::optional<Candidate> MatchMultiHeadAttention(const GraphView& graph, Facts* facts, size_t index,
                                                 Stop* stop) {
  const Node& node = graph.nodes[index];
  auto fail = [&](std::string reason) {
    *stop = {NameOf(node), std::move(reason)};
    return std::nullopt;
  };
  if (const std::string reason = UnsupportedFused(node); !reason.empty()) return fail(reason);
  const int64_t heads = node.Int("num_heads", 0);
  Candidate candidate;
  candidate.form = "com.microsoft.MultiHeadAttention";
  candidate.core = {index};
  candidate.packed = true;
  candidate.q = PackedOperand(*facts, node.inputs[kFusedQuery], heads);
  candidate.k = KeyOrValue(graph, facts, node.inputs[kFusedKey], heads);
  candidate.v = KeyOrValue(graph, facts, node.inputs[kFusedValue], heads);
  for (const Chain* chain : {&candidate.q, &candidate.k, &candidate.v}) {
    if (chain->cuts.empty()) return fail(chain->reason);
  }
  const Cut &q = candidate.q.cuts.front(), &k = candidate.k.cuts.front();
  const auto scale = ScaleOf(facts->symbols(), node, q);
  if (!scale) return fail("the head size is not a constant");
  candidate.scale = *scale;
  candidate.causal = node.Int("unidirectional", 0) != 0;
  // Of more keys than queries the runtime does not take the first ones, nor the last.
  if (candidate.causal && !facts->symbols().Same(q.size[kSequence], k.size[kSequence])) {
    return fail("it is causal, and queries and keys are not proved to be as many");
  }
  if (IsGiven(node.inputs, kAttentionBias)) {
    candidate.masks = {{node.inputs[kAttentionBias], Mask::Kind::kAdd}};
  }
  candidate.y = node.outputs.empty() ? "" : node.outputs[0];
  if (candidate.y.empty()) return fail("it gives no output");
  return candidate;
}

}  // namespace backendctx::patterns
