// Choosing the region of a candidate.
//
// The problem: the kernel wants the boundary far back, in front of the Transposes, and exactly one
// output, while exporters let other nodes read values in between (most often their shape). The
// idea: every operand has cuts, nearest first, each a value that the kernel could read. Start with
// the farthest that gain something, close the region (region.h), and when a value inside leaks,
// move the cut of the operand that it lies on one nearer and try again. The nearest cuts are the
// products' own operands; a leak that remains there is in attention itself, which is then not
// taken. Each round moves a cut, so there are at most as many rounds as cuts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "patterns/candidate.h"
#include "patterns/region.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

class Completion {
 public:
  Completion(const GraphView& graph, Facts* facts, Candidate candidate)
      : graph_(graph), facts_(*facts), candidate_(std::move(candidate)) {}

  std::optional<Attention> Run(Stop* stop) {
    for (Side& side : sides_) {
      if (side.chain->cuts.empty()) return Fail(stop, "", side.chain->reason);
      side.cut = Farthest(*side.chain);
    }
    if (!FindOutput()) {
      return Fail(stop, candidate_.y,
                  fmt::format("the axes or the type of {} are not known", candidate_.y));
    }
    for (;;) {
      std::string problem = ShapeProblem();
      if (problem == kRetry) continue;
      if (!problem.empty()) return Fail(stop, "", problem);
      Leak leak;
      const auto region = Close(graph_, facts_, MakeCore(), &leak);
      if (!region) {
        if (!Retreat(leak.value)) return Fail(stop, leak.value, LeakText(leak));
        continue;
      }
      if (auto found = Describe(*region, stop)) return found;
      if (!RetreatFromReaders(stop->node)) return std::nullopt;
    }
  }

 private:
  struct Side {
    const Chain* chain;
    size_t cut;
    const Cut& Chosen() const { return chain->cuts[cut]; }
  };
  static constexpr char kRetry[] = "retry";

  std::nullopt_t Fail(Stop* stop, const std::string& node, std::string reason) const {
    *stop = {node, std::move(reason)};
    return std::nullopt;
  }

  const Cut& Q() const { return sides_[0].Chosen(); }
  const Cut& K() const { return sides_[1].Chosen(); }
  const Cut& V() const { return sides_[2].Chosen(); }

  // Cuts that only a Reshape or a no-op separates from the next nearer one gain nothing.
  size_t Farthest(const Chain& chain) const {
    size_t cut = chain.cuts.size() - 1;
    for (; cut > 0; --cut) {
      const auto& nodes = chain.cuts[cut].nodes;
      const auto from = static_cast<std::ptrdiff_t>(chain.cuts[cut - 1].nodes.size());
      const bool gains = std::any_of(nodes.begin() + from, nodes.end(), [&](size_t index) {
        const std::string& op = graph_.nodes[index].op_type;
        return op == "Transpose" || op == "Expand" || op == "Mul" || op == "Div" || op == "Tile" ||
               op == "Concat" || op == "Gather";
      });
      if (gains) break;
    }
    return cut;
  }

  // What the core gives, and what the Transpose after it gives.
  bool FindOutput() {
    if (candidate_.packed) {
      y_cuts_.cuts = {{candidate_.y, {0, 2, 1, 2}, {}, {}, 1}};
    } else {
      y_cuts_.cuts = WalkOn(graph_, facts_, candidate_.y, candidate_.y_axes);
    }
    if (y_cuts_.cuts.empty() || facts_.Of(candidate_.y).type != kFloat) return false;
    y_.cut = Farthest(y_cuts_);
    return true;
  }

  std::string Differ(const char* what, const Expr& a, const char* of_a, const Expr& b,
                     const char* of_b) const {
    return fmt::format("{}: {} of {} and {} of {} are not proved to be equal", what,
                       facts_.symbols().Short(a), of_a, facts_.symbols().Short(b), of_b);
  }

  // Moves the cut of a side nearer; false: it is the nearest.
  static bool Nearer(Side* side) {
    if (side->cut == 0) return false;
    --side->cut;
    return true;
  }

  // Empty: what the operands say of the sizes fits together. kRetry: with another cut it may.
  std::string ShapeProblem() {
    const Symbols& symbols = facts_.symbols();
    const Expr &kh = K().size[kHead], &vh = V().size[kHead], &qh = Q().size[kHead];
    if (!symbols.Same(kh, vh)) {  // heads repeated per group on one side only
      for (Side* side : {&sides_[1], &sides_[2]}) {
        const bool repeats =
            !symbols.Same(side->Chosen().size[kHead], side->chain->cuts[0].size[kHead]);
        if (repeats && Nearer(side)) return kRetry;
      }
      return Differ("heads", kh, "K", vh, "V");
    }
    for (const Cut* other : {&K(), &V()}) {
      if (!symbols.Same(Q().size[kBatch], other->size[kBatch])) {
        return Differ("batch", Q().size[kBatch], "Q", other->size[kBatch],
                      other == &K() ? "K" : "V");
      }
    }
    if (!symbols.Same(K().size[kSequence], V().size[kSequence])) {
      return Differ("keys", K().size[kSequence], "K", V().size[kSequence], "V");
    }
    if (!symbols.Same(qh, kh) && !kh.Is(1)) {
      const auto q_heads = qh.Constant(), kv_heads = kh.Constant();
      if (!q_heads || !kv_heads || *kv_heads <= 0 || *q_heads % *kv_heads != 0) {
        return Differ("heads", qh, "Q", kh, "K");
      }
    }
    return SizeProblem();
  }

  std::string SizeProblem() const {
    const Symbols& symbols = facts_.symbols();
    const Expr &q = Q().size[kChannel], &k = K().size[kChannel], &v = V().size[kChannel];
    if (!symbols.Same(q, k)) return Differ("channels", q, "Q", k, "K");
    for (const Expr& size : {symbols.Resolve(q), symbols.Resolve(v)}) {
      if (!size.Constant() || *size.Constant() <= 0) {
        return fmt::format("the head size is {}, not a constant", symbols.Short(size));
      }
    }
    return MaskProblems();
  }

  std::string MaskProblems() const {
    const Expr &queries = Q().size[kSequence], &keys = K().size[kSequence];
    const auto& causal = candidate_.causal_axes;
    if (!causal.empty() &&
        (!facts_.symbols().Same(causal[0], queries) || !facts_.symbols().Same(causal[1], keys))) {
      return "the causal mask is not proved to be of queries and keys";
    }
    std::vector<Expr> scores = {Q().size[kBatch], Q().size[kHead], Q().size[kSequence],
                                K().size[kSequence]};
    if (candidate_.headless) scores.erase(scores.begin() + kHead);
    for (const Mask& mask : candidate_.masks) {
      if (const auto problem = MaskProblem(facts_, mask, scores)) return *problem;
    }
    return "";
  }

  Core MakeCore() const {
    Core core;
    core.nodes.insert(candidate_.core.begin(), candidate_.core.end());
    for (const Side& side : sides_) {
      core.nodes.insert(side.Chosen().nodes.begin(), side.Chosen().nodes.end());
      core.operands.push_back(side.Chosen().value);
    }
    core.nodes.insert(y_.Chosen().nodes.begin(), y_.Chosen().nodes.end());
    for (const Mask& mask : candidate_.masks) core.operands.push_back(mask.value);
    core.y = y_.Chosen().value;
    return core;
  }

  // Moves the cut of the operand that made `value` behind the nodes between, or y before them.
  bool Retreat(const std::string& value) {
    const auto made = graph_.producer.find(value);
    if (made == graph_.producer.end()) return false;
    for (Side& side : sides_) {
      const auto& nodes = side.Chosen().nodes;
      if (std::find(nodes.begin(), nodes.end(), made->second) != nodes.end() && Nearer(&side)) {
        return true;
      }
    }
    const auto& after = y_.Chosen().nodes;
    const bool on_the_way = std::find(after.begin(), after.end(), made->second) != after.end();
    return (on_the_way || value == candidate_.y) && Nearer(&y_);
  }

  // Leaves the nodes outside that read a value which cannot be described.
  bool RetreatFromReaders(const std::string& value) {
    const auto readers = graph_.consumers.find(value);
    if (readers == graph_.consumers.end()) return false;
    for (Side* side : {&sides_[0], &sides_[1], &sides_[2], &y_}) {
      const auto& nodes = side->Chosen().nodes;
      for (const size_t reader : readers->second) {
        const bool reads = std::find(nodes.begin(), nodes.end(), reader) != nodes.end();
        if (reads && Nearer(side)) return true;
      }
    }
    return false;
  }

  std::string LeakText(const Leak& leak) const {
    if (leak.reader.empty()) {
      return fmt::format("{}, made inside attention, is an output of the graph", leak.value);
    }
    return fmt::format("{}, made inside attention, is also read by {}", leak.value, leak.reader);
  }

  static Operand MakeOperand(const std::string& value, const std::array<int, kRoles>& axis) {
    Operand operand;
    operand.value = value;
    std::copy(axis.begin(), axis.end(), operand.axis);
    return operand;
  }

  std::vector<FreeDimension> FreeDimensions() const {
    std::vector<FreeDimension> all = {{"B", Q().size[kBatch]},
                                      {"Hq", Q().size[kHead]},
                                      {"Hk", K().size[kHead]},
                                      {"Sq", Q().size[kSequence]},
                                      {"Sk", K().size[kSequence]}};
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const FreeDimension& dimension) {
                               return facts_.symbols().Resolve(dimension.size).Constant();
                             }),
              all.end());
    return all;
  }

  std::optional<Attention> Describe(const Region& region, Stop* stop) const {
    Attention found;
    found.form = candidate_.form;
    found.nodes.assign(region.nodes.begin(), region.nodes.end());
    found.inputs = region.inputs;
    found.constants = region.constants;
    found.outputs = {y_.Chosen().value};
    found.q = MakeOperand(Q().value, Q().axis);
    found.k = MakeOperand(K().value, K().axis);
    found.v = MakeOperand(V().value, V().axis);
    found.y = MakeOperand(y_.Chosen().value, y_.Chosen().axis);
    SetNumbers(&found);
    if (!std::isfinite(found.scale)) return Fail(stop, "", "the scale is not finite");
    for (const std::string& input : found.inputs) {
      const bool is_data = IsTensorOperand(input);
      std::string problem;
      auto shape = patterns::Describe(facts_, FreeDimensions(), input, !is_data, &problem);
      if (!shape) return Fail(stop, input, problem);
      found.input_shapes.push_back(*std::move(shape));
    }
    return found;
  }

  bool IsTensorOperand(const std::string& value) const {
    const bool mask = std::any_of(candidate_.masks.begin(), candidate_.masks.end(),
                                  [&](const Mask& m) { return m.value == value; });
    return mask || value == Q().value || value == K().value || value == V().value;
  }

  void SetNumbers(Attention* found) const {
    const Symbols& symbols = facts_.symbols();
    auto number = [&](const Expr& size) { return symbols.Resolve(size).Constant().value_or(-1); };
    found->q_heads = number(Q().size[kHead]);
    found->kv_heads = number(K().size[kHead]);
    found->qk_head_size = number(Q().size[kChannel]);
    found->v_head_size = number(V().size[kChannel]);
    found->scale = static_cast<float>(candidate_.scale * Q().scale * K().scale);
    found->softcap = static_cast<float>(candidate_.softcap);
    found->causal = candidate_.causal;
    found->zero_masked_rows = candidate_.zero_masked_rows;
    found->lowest_masks = candidate_.lowest_masks;
    found->masks = candidate_.masks;
  }

  const GraphView& graph_;
  Facts& facts_;
  const Candidate candidate_;
  std::array<Side, 3> sides_ = {Side{&candidate_.q, 0}, Side{&candidate_.k, 0},
                                Side{&candidate_.v, 0}};
  Chain y_cuts_;
  Side y_ = {&y_cuts_, 0};
};

}  // namespace

std::optional<Candidate> WithCausalMaskInside(const GraphView& graph, const Facts& facts,
                                              Candidate candidate) {
  if (candidate.causal) return std::nullopt;
  for (auto mask = candidate.masks.rbegin(); mask != candidate.masks.rend(); ++mask) {
    const Fact& fact = facts.Of(mask->value);
    const auto nodes = CausalNodes(graph, facts, *mask);
    if (nodes && fact.rank() >= 2) {
      candidate.core.insert(candidate.core.end(), nodes->begin(), nodes->end());
      candidate.causal = true;
      candidate.causal_axes = {fact.dims.end()[-2], fact.dims.end()[-1]};
      candidate.masks.erase(std::next(mask).base());
      return candidate;
    }
    // What a later mask fills with a finite number is not masked any more.
    if (mask->kind != Mask::Kind::kAdd && std::isfinite(mask->fill)) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Attention> Complete(const GraphView& graph, Facts* facts, Candidate candidate,
                                  Stop* stop) {
  return Completion(graph, facts, std::move(candidate)).Run(stop);
}

}  // namespace backendctx::patterns
