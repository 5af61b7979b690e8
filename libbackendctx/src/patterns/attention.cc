#include "patterns/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

bool IsForeignAttention(const Node& node) {
  static const std::unordered_set<std::string> kOps = {"Attention",
                                                       "MultiHeadAttention",
                                                       "GroupQueryAttention",
                                                       "PackedAttention",
                                                       "PackedMultiHeadAttention",
                                                       "SparseAttention",
                                                       "PagedAttention",
                                                       "QAttention",
                                                       "DecoderMaskedMultiHeadAttention",
                                                       "DecoderMaskedSelfAttention",
                                                       "FlexAttention",
                                                       "LinearAttention",
                                                       "LongformerAttention"};
  return kOps.count(node.op_type) > 0;
}

class Finder {
 public:
  Finder(const model::ModelView& model, const GraphView& graph)
      : graph_(graph), facts_(model, graph) {}

  AttentionReport Run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) Look(i);
    return std::move(report_);
  }

 private:
  void Look(size_t index) {
    const Node& node = graph_.nodes[index];
    Stop stop;
    if (facts_.Is(node, "Softmax")) {
      LookAtSoftmax(index);
    } else if (facts_.Is(node, "Attention") && facts_.opset() >= 23) {
      const auto candidate = MatchAttentionOperator(graph_, &facts_, index, &stop);
      if (!candidate || !Take(*candidate, &stop)) Refuse(node, stop);
    } else if (IsForeignAttention(node)) {
      const std::string domain = node.domain.empty() ? "ai.onnx" : node.domain;
      Refuse(node, {"", fmt::format("the operator {}::{} is not compiled", domain, node.op_type)});
    }
  }

  // Where two products are added, either may be the scores and the other the mask.
  void LookAtSoftmax(size_t index) {
    Stop stops[2];
    bool seen = false;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const auto candidate = MatchSoftmax(graph_, &facts_, index, side, &stops[side]);
      seen = seen || candidate;
      if (candidate && Take(*candidate, &stops[side])) return;
    }
    if (seen || LooksLikeAttention(index)) Refuse(graph_.nodes[index], stops[0]);
  }

  bool LooksLikeAttention(size_t softmax) const {
    return ReachesProduct(graph_, softmax, false) && ReachesProduct(graph_, softmax, true);
  }

  bool Take(const Candidate& candidate, Stop* stop) {
    auto found = Complete(graph_, &facts_, candidate, stop);
    if (!found) return false;
    if (!Disjoint(*found)) {
      *stop = {"", "it shares nodes with attention that was found before"};
      return false;
    }
    taken_.insert(found->nodes.begin(), found->nodes.end());
    report_.found.push_back(*std::move(found));
    return true;
  }

  void Refuse(const Node& seen, const Stop& stop) {
    report_.not_taken.push_back(
        {stop.node.empty() ? NameOf(seen) : stop.node, seen.op_type, stop.reason});
  }

  bool Disjoint(const Attention& found) const {
    return std::none_of(found.nodes.begin(), found.nodes.end(),
                        [&](size_t node) { return taken_.count(node) > 0; });
  }

  const GraphView& graph_;
  Facts facts_;
  AttentionReport report_;
  std::unordered_set<size_t> taken_;
};

}  // namespace

AttentionReport FindAttention(const model::ModelView& model, const GraphView& graph) {
  return Finder(model, graph).Run();
}

}  // namespace backendctx::patterns
