#include "patterns/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

// Any operator that calls itself attention, in any domain.
bool IsAttentionByName(const Node& node) {
  return node.op_type.find("Attention") != std::string::npos;
}

// No attention is without one of these: a softmax has a sum, of exponentials, under some name.
bool MayNormalise(const Node& node) {
  const auto has = [&node](const char* part) {
    return node.op_type.find(part) != std::string::npos;
  };
  return IsAttentionByName(node) || has("max") || has("Reduce") || has("Exp") || has("Sum");
}

// What an attention operator does beyond what is compiled, as far as its inputs tell.
std::string WhyForeign(const Node& node) {
  auto has = [&](size_t i) { return i < node.inputs.size() && !node.inputs[i].empty(); };
  std::string details;
  if (node.op_type == "GroupQueryAttention") {
    if (!has(1)) details += ", packed Q, K and V";
    if (has(3)) details += ", a past of keys and values that it appends to";
    if (has(5)) details += ", lengths of its sequences (seqlens_k)";
    if (node.Int("do_rotary", 0) != 0) details += ", rotary embedding inside";
    if (node.Int("local_window_size", -1) >= 0) details += ", a window";
  }
  const std::string domain = node.domain.empty() ? "ai.onnx" : node.domain;
  return fmt::format("the operator {}::{} is not compiled{}{}", domain, node.op_type,
                     details.empty() ? "" : ": it has", details.empty() ? "" : details.substr(1));
}

bool LooksLikeAttention(const GraphView& graph, size_t node) {
  return ReachesProduct(graph, node, false) && ReachesProduct(graph, node, true);
}

// Which function of the model's own a node calls.
std::optional<size_t> CalledFunction(const model::ModelView& model, const Node& node) {
  const auto& names = model.local_functions;
  for (const std::string& domain : {node.domain, std::string("ai.onnx")}) {
    if (domain != node.domain && !node.domain.empty()) continue;
    const auto found = std::find(names.begin(), names.end(), domain + "::" + node.op_type);
    if (found != names.end()) return static_cast<size_t>(found - names.begin());
  }
  return std::nullopt;
}

// The functions that the model reaches, in the model's order.
std::set<size_t> ReachedFunctions(const model::ModelView& model) {
  std::set<size_t> reached;
  std::vector<const GraphView*> pending = {&model.graph};
  while (!pending.empty()) {
    const GraphView* top = pending.back();
    pending.pop_back();
    for (const GraphView* graph : model::AllGraphs(*top)) {
      for (const Node& node : graph->nodes) {
        const auto called = CalledFunction(model, node);
        if (!called || !reached.insert(*called).second) continue;
        if (const auto& body = model.function_bodies[*called]) pending.push_back(body.get());
      }
    }
  }
  return reached;
}

class Finder {
 public:
  Finder(const model::ModelView& model, const GraphView& graph)
      : model_(model), graph_(graph), facts_(model, graph) {}

  AttentionReport Run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) Look(i);
    for (Refusal& refusal : refusals_) {  // of nodes that another reading took: nothing to tell
      if (!taken_.count(refusal.index)) report_.not_taken.push_back(std::move(refusal.text));
    }
    return std::move(report_);
  }

 private:
  struct Refusal {
    size_t index;
    NotTaken text;
  };

  void Look(size_t index) {
    const Node& node = graph_.nodes[index];
    Stop stop;
    if (CalledFunction(model_, node)) return;  // its body is looked at by itself
    if (facts_.Is(node, "Attention") && facts_.opset() >= 23) {
      const auto candidate = MatchAttentionOperator(graph_, &facts_, index, &stop);
      if (!candidate || !Take(*candidate, &stop)) Refuse(index, stop);
    } else if (facts_.IsMicrosoft(node, "MultiHeadAttention")) {
      const auto candidate = MatchMultiHeadAttention(graph_, &facts_, index, &stop);
      if (!candidate || !Take(*candidate, &stop)) Refuse(index, stop);
    } else if (IsAttentionByName(node)) {
      Refuse(index, {"", WhyForeign(node)});
    } else {
      LookAtNormalisation(index);
    }
  }

  void LookAtNormalisation(size_t index) {
    std::string problem;
    const auto normalisation = ReadNormalisation(graph_, facts_, index, &problem);
    if (normalisation) {
      Stop stop;
      if (TakeAny(*normalisation, &stop)) return;
      if (LooksLikeAttention(graph_, index)) Refuse(index, stop);
    } else if (Normalises(graph_, graph_.nodes[index]) && LooksLikeAttention(graph_, index)) {
      const std::string& op = graph_.nodes[index].op_type;
      Refuse(index,
             {"", problem.empty() ? fmt::format("{} is no softmax of the scores", op) : problem});
    }
  }

  // Where two products are added, either may be the scores and the other the mask; the batch of
  // rank 3 products may hold the heads. The reading to tell about is the first that makes sense.
  bool TakeAny(const Normalisation& normalisation, Stop* stop) {
    for (const bool split_batch : {true, false}) {
      for (const size_t side : {size_t{0}, size_t{1}}) {
        Stop own;
        const auto candidate =
            MatchDecomposed(graph_, &facts_, normalisation, {side, split_batch}, &own);
        if (candidate && Take(*candidate, &own)) return true;
        if (stop->reason.empty()) *stop = own;
      }
    }
    return false;
  }

  bool Take(const Candidate& candidate, Stop* stop) {
    std::optional<Attention> found;
    if (const auto causal = WithCausalMaskInside(graph_, facts_, candidate)) {
      Stop ignored;
      found = Complete(graph_, &facts_, *causal, &ignored);
    }
    if (!found) found = Complete(graph_, &facts_, candidate, stop);
    if (!found) return false;
    if (!Disjoint(*found)) {
      *stop = {"", "it shares nodes with attention that was found before"};
      return false;
    }
    taken_.insert(found->nodes.begin(), found->nodes.end());
    report_.found.push_back(*std::move(found));
    return true;
  }

  void Refuse(size_t index, const Stop& stop) {
    const Node& seen = graph_.nodes[index];
    refusals_.push_back(
        {index, {stop.node.empty() ? NameOf(seen) : stop.node, seen.op_type, stop.reason}});
  }

  bool Disjoint(const Attention& found) const {
    return std::none_of(found.nodes.begin(), found.nodes.end(),
                        [&](size_t node) { return taken_.count(node) > 0; });
  }

  const model::ModelView& model_;
  const GraphView& graph_;
  Facts facts_;
  AttentionReport report_;
  std::vector<Refusal> refusals_;
  std::unordered_set<size_t> taken_;
};

}  // namespace

AttentionReport FindAttention(const model::ModelView& model, const GraphView& graph) {
  // Facts are of all graphs around as well; most branches of a model have no use for them.
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), MayNormalise)) return {};
  return Finder(model, graph).Run();
}

std::vector<NotTaken> LookIntoFunctions(const model::ModelView& model) {
  std::vector<NotTaken> result;
  for (const size_t i : ReachedFunctions(model)) {
    if (!model.function_bodies[i]) continue;
    for (const GraphView* graph : model::AllGraphs(*model.function_bodies[i])) {
      for (size_t node = 0; node < graph->nodes.size(); ++node) {
        const Node& seen = graph->nodes[node];
        const bool looks = IsAttentionByName(seen) ||
                           (Normalises(*graph, seen) && LooksLikeAttention(*graph, node));
        if (CalledFunction(model, seen) || !looks) continue;
        result.push_back({NameOf(seen), seen.op_type,
                          fmt::format("it is inside the function {} of the model's own, which is "
                                      "not taken apart",
                                      model.local_functions[i])});
      }
    }
  }
  return result;
}

}  // namespace backendctx::patterns
