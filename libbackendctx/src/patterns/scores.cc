#include "patterns/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "patterns/chain.h"
#include "patterns/product.h"
#include "patterns/region.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr size_t kMaxMasks = 2;  // BCTX_MAX_MASKS of the plug-in ABI
constexpr int kMaxVisits = 200;  // Adds may have scores on either side: bounds the search

// Reads from the Softmax towards the product, so the last operation comes first: masks, then the
// softcap, then the scale. `factor_` is what multiplies the value under the cursor before it meets
// what was read already.
class ScoreReader {
 public:
  ScoreReader(const GraphView& graph, const Facts& facts, size_t first)
      : graph_(graph), facts_(facts), first_(first) {}

  std::optional<Scores> Read(const std::string& value) { return From(value, State()); }
  const Stop& stop() const { return stop_; }

 private:
  struct State {
    Scores scores;
    double factor = 1;
    bool capped = false;
  };

  std::optional<Scores> Fail(const State& state, const std::string& node, std::string reason) {
    // Of several readings (an Add has two sides) the one to tell about leads to a product, and went
    // furthest.
    const bool leads = !state.scores.nodes.empty() &&
                       ReachesProduct(graph_, state.scores.nodes.back(), /*forward=*/false);
    const int depth = static_cast<int>(state.scores.nodes.size()) + (leads ? 1000 : 0);
    if (depth >= depth_) {
      depth_ = depth;
      stop_ = {node, std::move(reason)};
    }
    return std::nullopt;
  }

  std::optional<Scores> From(std::string value, State state) {
    for (;;) {
      const auto made = graph_.producer.find(value);
      if (made == graph_.producer.end()) {
        return Fail(state, value, "the scores are not made by a product of this graph");
      }
      const Node& node = graph_.nodes[made->second];
      if (++visits_ > kMaxVisits) return Fail(state, NameOf(node), "too many additions to follow");
      if (facts_.Of(value).type != kFloat) {
        return Fail(state, NameOf(node), NotFloat(facts_, value));
      }
      if (IsProduct(facts_, node)) return Finish(std::move(state), made->second);
      state.scores.nodes.push_back(made->second);
      if (facts_.Is(node, "Add")) return OverAdd(node, state);
      if (facts_.Is(node, "Where")) return OverWhere(node, state);
      if (IsNoOp(facts_, node) || IsReshape(facts_, node) || Permutation(facts_, node)) {
        value = node.inputs[0];
      } else if (const auto factor = ConstantFactor(facts_, node, &value)) {
        state.factor *= *factor;
      } else if (facts_.Is(node, "Tanh") && !state.capped) {
        if (!(state.factor > 0)) return Fail(state, NameOf(node), "the softcap is negative");
        state.capped = true;
        state.scores.softcap = std::exchange(state.factor, 1.0);
        value = node.inputs[0];
      } else {
        return Fail(state, NameOf(node), Unknown(node));
      }
    }
  }

  std::string Unknown(const Node& node) const {
    if (facts_.Is(node, "Mul") || facts_.Is(node, "Div")) {
      return fmt::format("{} of the scores is not by one constant number", node.op_type);
    }
    if (facts_.Is(node, "Sub")) return "a mask is subtracted from the scores, or they from it";
    return fmt::format("{} stands between the product and the Softmax", node.op_type);
  }

  std::optional<Scores> Finish(State state, size_t product) {
    state.scores.product = product;
    state.scores.scale = state.factor * (state.capped ? state.scores.softcap : 1.0);
    std::reverse(state.scores.masks.begin(), state.scores.masks.end());
    std::reverse(state.scores.adds.begin(), state.scores.adds.end());
    return std::move(state.scores);
  }

  // Empty, or why a mask cannot stand here.
  std::string MaskStop(const State& state) const {
    if (state.capped) return "a mask is added before the softcap";
    if (state.factor != 1) return "a mask is added before the scores are scaled";
    if (state.scores.masks.size() == kMaxMasks) {
      return fmt::format("more than {} masks are added", kMaxMasks);
    }
    return "";
  }

  std::optional<Scores> OverAdd(const Node& node, const State& state) {
    if (node.inputs.size() != 2) return Fail(state, NameOf(node), "Add without two operands");
    if (const std::string problem = MaskStop(state); !problem.empty()) {
      return Fail(state, NameOf(node), problem);
    }
    for (const size_t at : {first_, 1 - first_}) {
      State next = state;
      next.scores.masks.push_back({node.inputs[1 - at], Mask::Kind::kAdd});
      next.scores.adds.push_back(state.scores.nodes.back());
      if (auto scores = From(node.inputs[at], std::move(next))) return scores;
    }
    return std::nullopt;
  }

  // Where(keep, scores, fill), or Where(drop, fill, scores). The fill is scaled with the scores.
  std::optional<Scores> OverWhere(const Node& node, const State& state) {
    if (node.inputs.size() != 3) return Fail(state, NameOf(node), "Where without three operands");
    const bool drops = !facts_.Scalar(node.inputs[2]);
    const auto fill = facts_.Scalar(node.inputs[drops ? 1 : 2]);
    if (!fill) {
      return Fail(state, NameOf(node),
                  "Where replaces scores by something that is not one constant number");
    }
    if (!(*fill < 0)) {
      return Fail(state, NameOf(node),
                  fmt::format("Where replaces scores by {}, which is not negative", *fill));
    }
    if (state.capped) return Fail(state, NameOf(node), MaskStop(state));
    if (!(state.factor > 0)) {
      return Fail(state, NameOf(node), "scores are filled, then scaled not by one positive number");
    }
    State next = state;
    const double scaled = static_cast<double>(*fill) * state.factor;
    next.scores.masks.push_back({node.inputs[0], drops ? Mask::Kind::kDrop : Mask::Kind::kKeep,
                                 static_cast<float>(scaled)});
    next.scores.adds.push_back(state.scores.nodes.back());
    if (next.scores.masks.size() > kMaxMasks) {
      return Fail(state, NameOf(node), fmt::format("more than {} masks are added", kMaxMasks));
    }
    return From(node.inputs[drops ? 2 : 1], std::move(next));
  }

  const GraphView& graph_;
  const Facts& facts_;
  const size_t first_;  // the side of an Add that is tried first
  Stop stop_;
  int depth_ = -1;
  int visits_ = 0;
};

// The nodes that read a value for its elements; others compute with its shape.
std::vector<size_t> Readers(const GraphView& graph, const Facts& facts, const std::string& value) {
  const auto found = graph.consumers.find(value);
  std::vector<size_t> readers;
  if (found == graph.consumers.end()) return readers;
  std::copy_if(found->second.begin(), found->second.end(), std::back_inserter(readers),
               [&](size_t reader) { return !IsHelper(facts, graph.nodes[reader]); });
  return readers;
}

bool IsZero(const Facts& facts, const std::string& value) {
  const auto number = facts.Scalar(value);
  return number && *number == 0;
}

// Where(IsNaN(p), 0, p), or Where(Not(IsNaN(p)), p, 0): the output, and the nodes in `nodes`.
std::optional<std::string> OverNanGuard(const GraphView& graph, const Facts& facts,
                                        const std::string& p, std::vector<size_t>* nodes) {
  const auto readers = Readers(graph, facts, p);
  if (readers.size() != 2) return std::nullopt;
  size_t test = readers[0], where = readers[1];
  if (facts.Is(graph.nodes[where], "IsNaN")) std::swap(test, where);
  const Node& guard = graph.nodes[where];
  std::vector<size_t> taken = {test};
  if (!facts.Is(graph.nodes[test], "IsNaN") || !facts.Is(guard, "Where")) return std::nullopt;
  std::string condition = graph.nodes[test].Key();
  bool negated = false;
  for (;;) {  // nobody else may know of the condition
    const auto next = Readers(graph, facts, condition);
    if (next.size() != 1 || graph.is_output.count(condition)) return std::nullopt;
    if (next[0] == where) break;
    if (negated || !facts.Is(graph.nodes[next[0]], "Not")) return std::nullopt;
    negated = true;
    taken.push_back(next[0]);
    condition = graph.nodes[next[0]].Key();
  }
  if (guard.inputs.size() != 3 || guard.inputs[0] != condition) return std::nullopt;
  const std::string &zero = guard.inputs[negated ? 2 : 1], &kept = guard.inputs[negated ? 1 : 2];
  if (kept != p || !IsZero(facts, zero) || facts.Of(zero).rank() > facts.Of(p).rank()) {
    return std::nullopt;
  }
  nodes->insert(nodes->end(), taken.begin(), taken.end());
  nodes->push_back(where);
  return guard.Key();
}

}  // namespace

std::string NameOf(const Node& node) { return node.name.empty() ? node.Key() : node.name; }

std::optional<Scores> ReadScores(const GraphView& graph, const Facts& facts,
                                 const std::string& value, size_t first, Stop* stop) {
  ScoreReader reader(graph, facts, first);
  auto scores = reader.Read(value);
  if (!scores) *stop = reader.stop();
  return scores;
}

std::optional<Probabilities> ReadProbabilities(const GraphView& graph, const Facts& facts,
                                               const std::string& start, Stop* stop) {
  Probabilities result;
  std::string value = start;
  for (;;) {
    const auto readers = Readers(graph, facts, value);
    if (graph.is_output.count(value)) {
      *stop = {value, fmt::format("the probabilities {} are an output of the graph", value)};
      return std::nullopt;
    }
    if (const auto guarded = OverNanGuard(graph, facts, value, &result.nodes)) {
      result.zero_masked_rows = true;
      value = *guarded;
      continue;
    }
    if (readers.size() != 1) {
      *stop = {value, fmt::format("the probabilities {} are read by {} nodes, expected one", value,
                                  readers.size())};
      return std::nullopt;
    }
    const Node& node = graph.nodes[readers[0]];
    if (IsProduct(facts, node)) {
      result.product = readers[0];
      result.value = value;
      return result;
    }
    const bool moves = IsNoOp(facts, node) || IsReshape(facts, node) || Permutation(facts, node);
    if (!moves || node.inputs[0] != value) {
      *stop = {NameOf(node),
               fmt::format("{} stands between the Softmax and the product", node.op_type)};
      return std::nullopt;
    }
    if (facts.Of(node.Key()).type != kFloat) {
      *stop = {NameOf(node), NotFloat(facts, node.Key())};
      return std::nullopt;
    }
    result.nodes.push_back(readers[0]);
    value = node.Key();
  }
}

std::optional<std::string> MaskProblem(const Facts& facts, const Mask& mask,
                                       const std::vector<Expr>& scores) {
  const Fact& fact = facts.Of(mask.value);
  const int32_t expected = mask.kind == Mask::Kind::kAdd ? kFloat : kBool;
  if (fact.type != expected) {
    return fmt::format("the element type of the mask {} is {}, expected {}", mask.value,
                       TypeName(fact.type), TypeName(expected));
  }
  if (!fact.ranked) return fmt::format("the rank of the mask {} is not known", mask.value);
  if (fact.rank() > scores.size()) {
    return fmt::format("the mask {} has rank {}, expected at most {}", mask.value, fact.rank(),
                       scores.size());
  }
  const size_t offset = scores.size() - fact.rank();
  for (size_t i = 0; i < fact.rank(); ++i) {
    const Expr &own = fact.dims[i], &other = scores[offset + i];
    if (own.Is(1) || facts.symbols().IsAtMost(own, other)) continue;
    return fmt::format("axis {} of the mask {} is {}, which is not proved to be 1 or {}", i,
                       mask.value, facts.symbols().Short(own), facts.symbols().Short(other));
  }
  return std::nullopt;
}

}  // namespace backendctx::patterns
