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
  static const std::unordered_set<std::string> kOps = {
      "Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention",
      "PackedMultiHeadAttention", "SparseAttention", "PagedAttention", "QAttention",
      "DecoderMaskedMultiHeadAttention", "DecoderMaskedSelfAttention", "FlexAttention",
      "LinearAttention", "LongformerAttention"};
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
      const auto candidate = MatchSoftmax(graph_, &facts_, index, &stop);
      if (!candidate && !LooksLikeAttention(index)) return;
      Finish(node, candidate, stop);
    } else if (facts_.Is(node, "Attention") && facts_.opset() >= 23) {
      const auto candidate = MatchAttentionOperator(graph_, &facts_, index, &stop);
      Finish(node, candidate, stop);
    } else if (IsForeignAttention(node)) {
      const std::string domain = node.domain.empty() ? "ai.onnx" : node.domain;
      report_.not_taken.push_back(
          {NameOf(node), node.op_type,
           fmt::format("the operator {}::{} is not compiled", domain, node.op_type)});
    }
  }

  bool LooksLikeAttention(size_t softmax) const {
    return ReachesProduct(graph_, softmax, false) && ReachesProduct(graph_, softmax, true);
  }

  void Finish(const Node& seen, const std::optional<Candidate>& candidate, Stop stop) {
    if (candidate) {
      auto found = Complete(graph_, &facts_, *candidate, &stop);
      if (found && Disjoint(*found)) {
        taken_.insert(found->nodes.begin(), found->nodes.end());
        report_.found.push_back(*std::move(found));
        return;
      }
      if (found) stop = {"", "it shares nodes with attention that was found before"};
    }
    report_.not_taken.push_back({stop.node.empty() ? NameOf(seen) : stop.node, seen.op_type,
                                 stop.reason});
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
