#include "patterns/chain.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "patterns/region.h"

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
  if (options.allow_expand && facts.Is(node, "Expand")) {
    const Fact& output = facts.Of(node.outputs[0]);
    return layout->BackOverExpand(facts.symbols(), facts.Of(input), output) ? input : "";
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
  std::optional<Layout> layout = Layout::Of(facts->Of(start), options.roles);
  if (!layout) {
    chain.reason = "the rank of " + start + " is not known or not that of attention";
    return chain;
  }
  std::string value = start;
  std::vector<size_t> nodes;
  double scale = 1;
  while (nodes.size() <= kMaxSteps) {
    if (facts->Of(value).type == kFloat) {
      if (const auto axes = layout->Axes(options.roles.size())) {
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
    chain.reason = facts->Of(start).type == kFloat
                       ? "the axes of " + start + " are not known"
                       : "the element type of " + start + " is not float";
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

std::vector<Cut> WalkOn(const GraphView& graph, const Facts& facts, const std::string& start) {
  const size_t rank = facts.Of(start).rank();
  auto layout = Layout::Of(facts.Of(start),
                           rank == 3 ? std::vector<Role>{kBatch, kSequence, kChannel}
                                     : std::vector<Role>{kBatch, kHead, kSequence, kChannel});
  std::vector<Cut> cuts;
  std::string value = start;
  std::vector<size_t> nodes;
  while (layout && nodes.size() <= kMaxSteps && facts.Of(value).type == kFloat) {
    if (const auto axes = layout->Axes(rank)) cuts.push_back({value, *axes, {}, nodes, 1});
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
