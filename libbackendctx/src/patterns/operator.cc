// The Attention operator of opset 23 and later.
#include <fmt/format.h>

#include <cmath>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

enum Input { kQ = 0, kK = 1, kV = 2, kMask = 3, kPastKey = 4, kPastValue = 5, kNonpad = 6 };

// What this edition compiles; else why not.
std::string Unsupported(const Node& node) {
  if (!IsGiven(node.inputs, kQ) || !IsGiven(node.inputs, kK) || !IsGiven(node.inputs, kV)) {
    return "Q, K or V is missing";
  }
  if (IsGiven(node.inputs, kPastKey) || IsGiven(node.inputs, kPastValue))
    return "it has a past key or value";
  if (IsGiven(node.inputs, kNonpad)) return "it has nonpad_kv_seqlen";
  if (node.inputs.size() > kNonpad + 1) return "it has inputs that are not known here";
  static constexpr const char* kOutputs[] = {"Y", "present_key", "present_value",
                                             "qk_matmul_output"};
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (IsGiven(node.outputs, i))
      return fmt::format("it gives {}", i < 4 ? kOutputs[i] : "more outputs");
  }
  if (const int64_t precision = node.Int("softmax_precision", kFloat); precision != kFloat) {
    return fmt::format("softmax_precision is {}, expected float",
                       TypeName(static_cast<int32_t>(precision)));
  }
  for (const char* window : {"left_window_size", "right_window_size"}) {
    if (node.Int(window, -1) >= 0) return fmt::format("it has {}", window);
  }
  static constexpr const char* kKnown[] = {"is_causal",
                                           "scale",
                                           "q_num_heads",
                                           "kv_num_heads",
                                           "softcap",
                                           "softmax_precision",
                                           "qk_matmul_output_mode",
                                           "left_window_size",
                                           "right_window_size"};
  for (const model::Attribute& attribute : node.attributes) {
    bool known = false;
    for (const char* name : kKnown) known = known || attribute.name == name;
    if (!known) return fmt::format("its attribute {} is not known here", attribute.name);
  }
  return "";
}

Chain OperandOf(const GraphView& graph, Facts* facts, const Node& node, Input input, bool packed) {
  const std::string& value = node.inputs[input];
  if (packed) {
    return PackedOperand(*facts, value, node.Int(input == kQ ? "q_num_heads" : "kv_num_heads", 0));
  }
  return WalkBack(graph, facts, value,
                  {{{kBatch, kHead, kSequence, kChannel}, std::nullopt}, input != kV, input != kQ});
}

// Since opset 24 a mask with fewer keys than there are is padded, so that one key is not broadcast.
bool MayBeShort(const Facts& facts, const std::string& mask, const Chain& k) {
  const Fact& fact = facts.Of(mask);
  if (facts.opset() < 24 || !fact.ranked || fact.rank() == 0 || k.cuts.empty()) return false;
  return !facts.symbols().Same(fact.dims.back(), k.cuts.front().size[kSequence]);
}

}  // namespace

bool IsGiven(const std::vector<std::string>& names, size_t i) {
  return i < names.size() && !names[i].empty();
}

Chain PackedOperand(const Facts& facts, const std::string& value, int64_t heads) {
  Chain chain;
  const Fact& fact = facts.Of(value);
  const auto channels = fact.rank() == 3 ? ExactQuotient(fact.dims[2], Expr(heads)) : std::nullopt;
  if (fact.type != kFloat) {
    chain.reason = NotFloat(facts, value);
  } else if (!fact.ranked) {
    chain.reason = fmt::format("the rank of {} is not known", value);
  } else if (heads <= 0 || !channels) {
    chain.reason = fmt::format("{} is not proved to have {} heads", value, heads);
  } else {
    Cut cut;
    cut.value = value;
    cut.axis = {0, 2, 1, 2};
    cut.size[kBatch] = fact.dims[0];
    cut.size[kHead] = Expr(heads);
    cut.size[kSequence] = fact.dims[1];
    cut.size[kChannel] = *channels;
    chain.cuts.push_back(std::move(cut));
  }
  return chain;
}

std::optional<double> ScaleOf(const Symbols& symbols, const Node& node, const Cut& q) {
  const model::Attribute* scale = node.Find("scale");
  const bool given = scale && scale->kind == model::Attribute::Kind::kFloat;
  const bool zero_is_none = !node.domain.empty();  // com.microsoft's default is 0
  if (given && !(zero_is_none && node.Float("scale", 0) == 0)) return node.Float("scale", 1);
  const auto channels = symbols.Resolve(q.size[kChannel]).Constant();
  if (!channels || *channels <= 0) return std::nullopt;
  return 1.0 / std::sqrt(static_cast<double>(*channels));
}

std::optional<Candidate> MatchAttentionOperator(const GraphView& graph, Facts* facts, size_t index,
                                                Stop* stop) {
  const Node& node = graph.nodes[index];
  auto fail = [&](std::string reason) {
    *stop = {NameOf(node), std::move(reason)};
    return std::nullopt;
  };
  if (const std::string reason = Unsupported(node); !reason.empty()) return fail(reason);
  const Fact& q = facts->Of(node.inputs[kQ]);
  for (const Input input : {kQ, kK, kV}) {
    const Fact& fact = facts->Of(node.inputs[input]);
    if (!fact.ranked) return fail(fmt::format("the rank of {} is not known", node.inputs[input]));
    if (fact.rank() == q.rank() && (q.rank() == 3 || q.rank() == 4)) continue;
    return fail(fmt::format("the rank of {} is {}, expected 3 or 4 for Q, K and V alike",
                            node.inputs[input], fact.rank()));
  }
  Candidate candidate;
  candidate.form = fmt::format("Attention-{}", facts->opset());
  candidate.core = {index};
  candidate.packed = q.rank() == 3;
  candidate.q = OperandOf(graph, facts, node, kQ, candidate.packed);
  candidate.k = OperandOf(graph, facts, node, kK, candidate.packed);
  candidate.v = OperandOf(graph, facts, node, kV, candidate.packed);
  if (candidate.q.cuts.empty()) return fail(candidate.q.reason);
  const auto scale = ScaleOf(facts->symbols(), node, candidate.q.cuts.front());
  if (!scale) return fail("the head size is not a constant");
  candidate.scale = *scale;
  candidate.softcap = node.Float("softcap", 0);
  if (candidate.softcap < 0) return fail("the softcap is negative");
  candidate.causal = node.Int("is_causal", 0) != 0;
  candidate.zero_masked_rows = true;
  candidate.lowest_masks = true;  // "fully masked" is decided on the additive bias
  if (IsGiven(node.inputs, kMask)) {
    const bool is_bool = facts->Of(node.inputs[kMask]).type == kBool;
    candidate.masks = {{node.inputs[kMask], is_bool ? Mask::Kind::kKeep : Mask::Kind::kAdd}};
    if (MayBeShort(*facts, node.inputs[kMask], candidate.k)) {
      return fail("the mask is not proved to be as long as the keys: it may be short, and padded");
    }
  }
  candidate.y_axes.roles = {kBatch, kHead, kSequence, kChannel};
  candidate.y = node.outputs.empty() ? "" : node.outputs[0];
  if (candidate.y.empty()) return fail("it gives no Y");
  return candidate;
}

}  // namespace backendctx::patterns
