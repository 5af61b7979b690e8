#include "patterns/chain.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "patterns/region.h"
#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr size_t kMaxSteps = 32;

// A Dropout that a session never makes random: without training_mode, or with a constant false.
bool IsInferenceDropout(const Facts& facts, const Node& node) {
  if (!facts.Is(node, "Dropout") || facts.opset() < 7) return false;
  const bool has_mask = node.outputs.size() > 1 && !node.outputs[1].empty();
  if (has_mask) return false;
  if (node.inputs.size() < 3 || node.inputs[2].empty()) return true;
  const auto training = facts.Ints(node.inputs[2]);
  return training && training->size() == 1 && training->front() == 0;
}

// Expand, Tile, and Concat of one value many times, of axes of size 1: what they do to others is
// seen by the sizes.
bool RepeatsUnits(const Facts& facts, const Node& node) {
  if (facts.Is(node, "Expand") || facts.Is(node, "Tile")) return true;
  if (!facts.Is(node, "Concat")) return false;
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](const std::string& input) { return input == node.inputs[0]; });
}

// Indices 0 0 .. 1 1 .. n n of an axis of n + 1 elements.
bool BackOverGather(const Facts& facts, const Node& node, Layout* layout) {
  const Fact& input = facts.Of(node.inputs[0]);
  const auto indices = node.inputs.size() == 2 ? facts.Ints(node.inputs[1]) : std::nullopt;
  const auto axis = NormalAxis(node.Int("axis", 0), input.rank());
  if (!indices || !input.ranked || !axis || facts.Of(node.inputs[1]).rank() != 1) return false;
  const Expr& outer = input.dims[static_cast<size_t>(*axis)];
  const auto size = outer.Constant();
  const auto count = static_cast<int64_t>(indices->size());
  if (!size || *size <= 0 || count == 0 || count % *size != 0) return false;
  for (int64_t i = 0; i < count; ++i) {
    if ((*indices)[static_cast<size_t>(i)] != i / (count / *size)) return false;
  }
  return layout->BackOverRepeat(facts.symbols(), static_cast<size_t>(*axis), outer);
}

// The input that `node` passes on, with the layout and scale that it has there; empty: the walk
// ends.
std::string Step(const Facts& facts, const Node& node, const WalkOptions& options, Layout* layout,
                 double* scale) {
  if (node.inputs.empty() || node.outputs.empty()) return "";
  std::string input = node.inputs[0];
  if (IsNoOp(facts, node)) return input;
  if (const auto perm = Permutation(facts, node)) {
    return layout->BackOverTranspose(*perm) ? input : "";
  }
  if (IsReshape(facts, node)) {
    return layout->BackOverReshape(facts.symbols(), facts.Of(input)) ? input : "";
  }
  if (options.allow_expand && RepeatsUnits(facts, node)) {
    const Fact& output = facts.Of(node.outputs[0]);
    return layout->BackOverExpand(facts.symbols(), facts.Of(input), output) ? input : "";
  }
  if (options.allow_expand && facts.Is(node, "Gather")) {
    return BackOverGather(facts, node, layout) ? input : "";
  }
  if (options.allow_scale) {
    if (const auto factor = ConstantFactor(facts, node, &input)) {
      *scale *= *factor;
      return input;
    }
  }
  return "";
}

}  // namespace

bool IsReshape(const Facts& facts, const Node& node) {
  if (node.inputs.empty() || node.outputs.empty()) return false;
  for (const char* op : {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}) {
    if (facts.Is(node, op)) return true;
  }
  return false;
}

bool IsNoOp(const Facts& facts, const Node& node) {
  if (node.inputs.empty() || node.outputs.empty()) return false;
  if (facts.Is(node, "Identity") || IsInferenceDropout(facts, node)) return true;
  return (facts.Is(node, "Cast") || facts.Is(node, "CastLike")) &&
         facts.Of(node.inputs[0]).type == kFloat && facts.Of(node.outputs[0]).type == kFloat;
}

std::optional<std::vector<int64_t>> Permutation(const Facts& facts, const Node& node) {
  if (!facts.Is(node, "Transpose") || node.inputs.size() != 1) return std::nullopt;
  if (const model::Attribute* perm = node.Find("perm")) return perm->ints;
  const Fact& input = facts.Of(node.inputs[0]);
  if (!input.ranked) return std::nullopt;
  std::vector<int64_t> reversed;
  for (size_t i = input.rank(); i > 0; --i) reversed.push_back(static_cast<int64_t>(i) - 1);
  return reversed;
}

std::optional<double> ConstantFactor(const Facts& facts, const Node& node, std::string* value) {
  const bool divides = facts.Is(node, "Div");
  if ((!divides && !facts.Is(node, "Mul")) || node.inputs.size() != 2) return std::nullopt;
  for (const size_t at : {size_t{1}, size_t{0}}) {
    if (divides && at == 0) continue;
    const std::string &constant = node.inputs[at], &other = node.inputs[1 - at];
    const auto factor = facts.Scalar(constant);
    const Fact& varies = facts.Of(other);
    if (!factor || !varies.ranked || facts.Of(constant).rank() > varies.rank()) continue;
    const double number = divides ? 1.0 / static_cast<double>(*factor) : *factor;
    if (!std::isfinite(number) || number == 0) continue;
    *value = other;
    return number;
  }
  return std::nullopt;
}

Chain WalkBack(const GraphView& graph, Facts* facts, const std::string& start,
               const WalkOptions& options) {
  Chain chain;
  std::optional<Layout> layout = LayoutOf(*facts, start, options.axes);
  if (!layout) {
    const Fact& fact = facts->Of(start);
    chain.reason = fact.ranked ? "the axes of " + start + " are not those of attention"
                               : "the rank of " + start + " is not known";
    return chain;
  }
  std::string value = start;
  std::vector<size_t> nodes;
  double scale = 1;
  while (nodes.size() <= kMaxSteps) {
    if (facts->Of(value).type == kFloat) {
      if (const auto axes = layout->Axes(options.axes.rank())) {
        Cut cut{value, *axes, {}, nodes, scale};
        for (size_t role = 0; role < kRoles; ++role) {
          cut.size[role] = layout->Size(static_cast<Role>(role), &facts->symbols());
        }
        chain.cuts.push_back(std::move(cut));
      }
    }
    const auto made = graph.producer.find(value);
    if (made == graph.producer.end()) break;
    Layout before = *layout;
    const std::string input = Step(*facts, graph.nodes[made->second], options, &before, &scale);
    if (input.empty() || facts->Of(input).type != kFloat) break;
    nodes.push_back(made->second);
    value = input;
    layout = before;
  }
  if (chain.cuts.empty()) {
    chain.reason = facts->Of(start).type == kFloat ? "the axes of " + start + " are not known"
                                                   : NotFloat(*facts, start);
  }
  return chain;
}

namespace {

// The one reader of `value` that carries its elements on; others may only compute with its shape.
const size_t* CarryingReader(const GraphView& graph, const Facts& facts, const std::string& value) {
  const auto readers = graph.consumers.find(value);
  if (graph.is_output.count(value) || readers == graph.consumers.end()) return nullptr;
  const size_t* carrying = nullptr;
  for (const size_t& reader : readers->second) {
    if (IsHelper(facts, graph.nodes[reader])) continue;
    if (carrying) return nullptr;
    carrying = &reader;
  }
  return carrying;
}

bool StepOn(const Facts& facts, const Node& node, Layout* layout) {
  if (IsNoOp(facts, node)) return true;
  if (const auto perm = Permutation(facts, node)) return layout->ForwardOverTranspose(*perm);
  return IsReshape(facts, node) &&
         layout->ForwardOverReshape(facts.symbols(), facts.Of(node.Key()));
}

}  // namespace

std::optional<Layout> LayoutOf(const Facts& facts, const std::string& value,
                               const AxisRoles& axes) {
  auto layout = Layout::Of(facts.Of(value), axes.roles);
  if (layout && axes.heads && !layout->SplitBatch(facts.symbols(), *axes.heads)) {
    return std::nullopt;
  }
  return layout;
}

std::optional<Expr> HeadsInBatch(const GraphView& graph, const Facts& facts,
                                 const std::string& start, const WalkOptions& options) {
  auto layout = LayoutOf(facts, start, options.axes);
  std::string value = start;
  double scale = 1;
  for (size_t step = 0; layout && step <= kMaxSteps; ++step) {
    const auto made = graph.producer.find(value);
    if (made == graph.producer.end()) break;
    value = Step(facts, graph.nodes[made->second], options, &*layout, &scale);
    if (value.empty()) break;
    if (const auto heads = layout->InnerBatch()) return heads;
  }
  return std::nullopt;
}

std::vector<Cut> WalkOn(const GraphView& graph, const Facts& facts, const std::string& start,
                        const AxisRoles& roles) {
  auto layout = LayoutOf(facts, start, roles);
  std::vector<Cut> cuts;
  std::string value = start;
  std::vector<size_t> nodes;
  while (layout && nodes.size() <= kMaxSteps && facts.Of(value).type == kFloat) {
    if (const auto axes = layout->Axes(roles.rank())) cuts.push_back({value, *axes, {}, nodes, 1});
    const size_t* reader = CarryingReader(graph, facts, value);
    if (!reader) break;
    const Node& node = graph.nodes[*reader];
    if (node.inputs.empty() || node.inputs[0] != value || !StepOn(facts, node, &*layout)) break;
    nodes.push_back(*reader);
    value = node.Key();
  }
  return cuts;
}

}  // namespace backendctx::patterns
