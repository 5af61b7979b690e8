#include "patterns/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr size_t kMaxSearch = 64;  // nodes around a Softmax that are looked at for products

bool IsProduct(const Node& node) {
  return node.op_type == "MatMul" || node.op_type == "Einsum" || node.op_type == "Gemm" ||
         node.op_type == "MatMulInteger" || node.op_type == "FusedMatMul";
}

// What may stand between products and a Softmax in anything that resembles attention.
bool IsBetween(const Node& node) {
  static const std::unordered_set<std::string> kOps = {
      "Add",   "Sub",    "Mul",      "Div",     "Where",     "Cast",     "Identity", "Tanh",
      "Clip",  "Max",    "Min",      "Dropout", "Reshape",   "Transpose", "Squeeze", "Unsqueeze",
      "IsNaN", "Slice",  "Concat",   "Softplus", "Sigmoid",  "Abs",      "Neg",      "Pow"};
  return kOps.count(node.op_type) > 0;
}

std::vector<size_t> Neighbours(const GraphView& graph, const Node& node, bool forward) {
  std::vector<size_t> result;
  for (const std::string& value : forward ? node.outputs : node.inputs) {
    if (forward) {
      const auto readers = graph.consumers.find(value);
      if (readers == graph.consumers.end()) continue;
      result.insert(result.end(), readers->second.begin(), readers->second.end());
    } else if (const auto made = graph.producer.find(value); made != graph.producer.end()) {
      result.push_back(made->second);
    }
  }
  return result;
}

bool ReachesProduct(const GraphView& graph, size_t start, bool forward) {
  std::unordered_set<size_t> seen = {start};
  std::vector<size_t> pending = {start};
  while (!pending.empty() && seen.size() < kMaxSearch) {
    const size_t index = pending.back();
    pending.pop_back();
    for (const size_t next : Neighbours(graph, graph.nodes[index], forward)) {
      if (IsProduct(graph.nodes[next])) return true;
      if (IsBetween(graph.nodes[next]) && seen.insert(next).second) pending.push_back(next);
    }
  }
  return false;
}

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
      Finish(node, MatchAttentionOperator(graph_, &facts_, index, &stop), stop);
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
