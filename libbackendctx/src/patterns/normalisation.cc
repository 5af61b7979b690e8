// Softmax in one node, or written out.
#include <fmt/format.h>

#include <algorithm>

#include "patterns/chain.h"
#include "patterns/product.h"
#include "patterns/shape_rules.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

class Reader {
 public:
  Reader(const GraphView& graph, const Facts& facts, size_t node, std::string* problem)
      : graph_(graph), facts_(facts), problem_(problem) {
    result_.node = node;
    result_.nodes = {node};
  }

  std::optional<Normalisation> Read() {
    const Node& node = graph_.nodes[result_.node];
    if (node.outputs.empty() || node.inputs.empty()) return std::nullopt;
    result_.output = node.Key();
    if (facts_.Is(node, "Softmax")) return OfSoftmax(node);
    if (facts_.Is(node, "Exp")) return OfLogSoftmax(node);
    if (facts_.Is(node, "Div") && node.inputs.size() == 2) {
      return OfQuotient(node.inputs[0], node.inputs[1]);
    }
    if (facts_.Is(node, "Mul") && node.inputs.size() == 2) {
      for (const size_t at : {size_t{1}, size_t{0}}) {
        const auto inverse = Maker(node.inputs[at], "Reciprocal");
        if (!inverse) continue;
        result_.nodes.push_back(*inverse);
        return OfQuotient(node.inputs[1 - at], graph_.nodes[*inverse].inputs[0]);
      }
    }
    return std::nullopt;
  }

 private:
  std::nullopt_t Fail(std::string reason) {
    *problem_ = std::move(reason);
    return std::nullopt;
  }

  std::optional<size_t> Maker(const std::string& value, const char* op) const {
    const auto made = graph_.producer.find(value);
    if (made == graph_.producer.end()) return std::nullopt;
    const Node& node = graph_.nodes[made->second];
    if (!facts_.Is(node, op) || node.inputs.empty()) return std::nullopt;
    return made->second;
  }

  // Takes the node that makes `value` in, if it is this operator.
  const Node* Take(const std::string& value, const char* op) {
    const auto made = Maker(value, op);
    if (!made) return nullptr;
    result_.nodes.push_back(*made);
    return &graph_.nodes[*made];
  }

  // Before opset 13 all axes from `axis` on are normalised together.
  std::optional<Normalisation> OfSoftmax(const Node& node) {
    result_.input = node.inputs[0];
    const Fact& fact = facts_.Of(result_.input);
    if (!fact.ranked) return Fail(fmt::format("the rank of {} is not known", result_.input));
    const auto axis = NormalAxis(node.Int("axis", facts_.opset() < 13 ? 1 : -1), fact.rank());
    if (!axis) return Fail("the axis of the Softmax is out of range");
    result_.first_axis = static_cast<size_t>(*axis);
    result_.end_axis = facts_.opset() < 13 ? fact.rank() : result_.first_axis + 1;
    return result_;
  }

  std::optional<Normalisation> OfLogSoftmax(const Node& node) {
    const Node* logarithm = Take(node.inputs[0], "LogSoftmax");
    return logarithm ? OfSoftmax(*logarithm) : std::nullopt;
  }

  // The one axis that a reduction with kept dimensions is over.
  std::optional<int64_t> ReducedAxis(const Node& node) const {
    const size_t rank = facts_.Of(node.inputs[0]).rank();
    const model::Attribute* attribute = node.Find("axes");
    std::optional<std::vector<int64_t>> axes;
    if (attribute) axes = attribute->ints;
    if (!attribute && node.inputs.size() > 1) axes = facts_.Ints(node.inputs[1]);
    if (node.Int("keepdims", 1) == 0 || !axes || axes->size() != 1) return std::nullopt;
    return NormalAxis(axes->front(), rank);
  }

  // exp(s - max s) / sum: without the maximum it is softmax too, but overflows where softmax does
  // not.
  std::optional<Normalisation> OfQuotient(const std::string& over, const std::string& by) {
    const Node* sum = Take(by, "ReduceSum");
    if (!sum || sum->inputs[0] != over) return std::nullopt;
    const Node* exponential = Take(over, "Exp");
    if (!exponential) return Fail("what is divided by its sum is not made by Exp");
    const Node* difference = Take(exponential->inputs[0], "Sub");
    const Node* most = difference && difference->inputs.size() == 2
                           ? Take(difference->inputs[1], "ReduceMax")
                           : nullptr;
    if (!most || most->inputs[0] != difference->inputs[0]) {
      return Fail("the Exp is not of the scores less their maximum");
    }
    result_.input = difference->inputs[0];
    const auto axis = ReducedAxis(*sum);
    if (!facts_.Of(result_.input).ranked || !axis || axis != ReducedAxis(*most)) {
      return Fail("sum and maximum are not proved to be over one axis, the same");
    }
    result_.first_axis = static_cast<size_t>(*axis);
    result_.end_axis = result_.first_axis + 1;
    return result_;
  }

  const GraphView& graph_;
  const Facts& facts_;
  std::string* problem_;
  Normalisation result_;
};

constexpr int kMaxStepsToSum = 4;  // between a division and the sum that it divides by

const Node* MakerOf(const GraphView& graph, const std::string& value) {
  const auto made = graph.producer.find(value);
  return made == graph.producer.end() ? nullptr : &graph.nodes[made->second];
}

// What a divisor sums up; empty: it is no sum.
std::string SummedBy(const GraphView& graph, const std::string& divisor) {
  const Node* node = MakerOf(graph, divisor);
  for (int step = 0; node && !node->inputs.empty() && step < kMaxStepsToSum; ++step) {
    if (node->op_type == "ReduceSum" || node->op_type == "ReduceL1") return node->inputs[0];
    const bool passes = node->op_type == "Reciprocal" || node->op_type == "Add" ||
                        node->op_type == "Max" || node->op_type == "Clip" ||
                        node->op_type == "Expand" || node->op_type == "Cast";
    if (!passes) return "";
    node = MakerOf(graph, node->inputs[0]);
  }
  return "";
}

}  // namespace

std::optional<Normalisation> ReadNormalisation(const GraphView& graph, const Facts& facts,
                                               size_t node, std::string* problem) {
  return Reader(graph, facts, node, problem).Read();
}

bool Normalises(const GraphView& graph, const Node& node) {
  if (node.op_type.find("Softmax") != std::string::npos || node.op_type == "Hardmax") return true;
  const bool divides = node.op_type == "Div" || node.op_type == "Mul";
  if (!divides || node.inputs.size() != 2) return false;
  const std::string summed = SummedBy(graph, node.inputs[1]);
  if (summed.empty()) return false;
  if (summed == node.inputs[0]) return true;
  // Weights that are summed here and multiply V before the division.
  const Node* product = MakerOf(graph, node.inputs[0]);
  return product && std::count(product->inputs.begin(), product->inputs.end(), summed) > 0;
}

}  // namespace backendctx::patterns
