#include "patterns/product.h"

#include <fmt/format.h>

#include <algorithm>

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr int kLeft = 1000, kSummed = 1001, kRight = 1002;  // beyond the numbers of shared axes

bool Contains(const std::vector<int>& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// Shared axes are numbered from the right, as they broadcast.
std::vector<int> MatMulLabels(size_t rank, int last_but_one, int last) {
  std::vector<int> labels;
  for (size_t i = rank - 2; i > 0; --i) labels.push_back(static_cast<int>(i));
  labels.push_back(last_but_one);
  labels.push_back(last);
  return labels;
}

bool SetMatMul(const Facts& facts, const Node& node, TensorProduct* product, std::string* problem) {
  const size_t ranks[2] = {facts.Of(node.inputs[0]).rank(), facts.Of(node.inputs[1]).rank()};
  for (size_t i = 0; i < 2; ++i) {
    const Fact& fact = facts.Of(node.inputs[i]);
    if (fact.ranked && ranks[i] >= 2) continue;
    *problem =
        fmt::format("the rank of {} is {}, expected 4, or 3 for every operand", node.inputs[i],
                    fact.ranked ? fmt::to_string(fact.rank()) : std::string("not known"));
    return false;
  }
  const bool fused = !node.domain.empty();
  const bool turned[2] = {fused && node.Int("transA", 0) != 0, fused && node.Int("transB", 0) != 0};
  if (fused && (node.Int("transBatchA", 0) != 0 || node.Int("transBatchB", 0) != 0)) {
    *problem = "FusedMatMul transposes the batch";
    return false;
  }
  product->labels[0] = MatMulLabels(ranks[0], kLeft, kSummed);
  product->labels[1] = MatMulLabels(ranks[1], kSummed, kRight);
  product->out = MatMulLabels(std::max(ranks[0], ranks[1]), kLeft, kRight);
  for (size_t i = 0; i < 2; ++i) {
    if (turned[i]) std::iter_swap(product->labels[i].end() - 1, product->labels[i].end() - 2);
  }
  product->factor = fused ? node.Float("alpha", 1) : 1;
  return true;
}

bool SetEinsum(const Node& node, TensorProduct* product, std::string* problem) {
  const auto subscripts = ReadSubscripts(node);
  if (!subscripts || subscripts->inputs.size() != 2) {
    *problem = "the equation of the Einsum is not followed";
    return false;
  }
  for (size_t i = 0; i < 2; ++i) {
    product->labels[i].assign(subscripts->inputs[i].begin(), subscripts->inputs[i].end());
  }
  product->out.assign(subscripts->output.begin(), subscripts->output.end());
  return true;
}

bool IsLabel(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool EachOnce(const std::string& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](char c) {
    return IsLabel(c) && std::count(labels.begin(), labels.end(), c) == 1;
  });
}

// Of an equation without "->": the labels that occur once, in alphabetic order.
std::string ImplicitOutput(const std::string& inputs) {
  std::string output;
  for (const char c : inputs) {
    if (IsLabel(c) && std::count(inputs.begin(), inputs.end(), c) == 1) output += c;
  }
  std::sort(output.begin(), output.end());
  return output;
}

}  // namespace

std::optional<size_t> TensorProduct::OperandOf(const std::string& name) const {
  if (value[0] == value[1]) return std::nullopt;
  if (value[0] == name) return 0;
  if (value[1] == name) return 1;
  return std::nullopt;
}

std::optional<Subscripts> ReadSubscripts(const Node& einsum) {
  const model::Attribute* equation = einsum.Find("equation");
  if (!equation || equation->strings.size() != 1) return std::nullopt;
  std::string text = equation->strings[0];
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  Subscripts result;
  const size_t arrow = text.find("->");
  std::string inputs = text.substr(0, arrow);
  result.output =
      arrow == std::string::npos ? ImplicitOutput(inputs) : text.substr(arrow + sizeof "->" - 1);
  for (size_t comma; (comma = inputs.find(',')) != std::string::npos;) {
    result.inputs.push_back(inputs.substr(0, comma));
    inputs.erase(0, comma + 1);
  }
  result.inputs.push_back(inputs);
  if (!EachOnce(result.output)) return std::nullopt;
  if (!std::all_of(result.inputs.begin(), result.inputs.end(), EachOnce)) return std::nullopt;
  return result;
}

bool IsProduct(const Facts& facts, const Node& node) {
  if (node.inputs.size() != 2 || node.outputs.size() != 1) return false;
  return facts.Is(node, "MatMul") || facts.Is(node, "Einsum") ||
         facts.IsMicrosoft(node, "FusedMatMul");
}

std::optional<TensorProduct> ReadProduct(const GraphView& graph, const Facts& facts, size_t index,
                                         std::string* problem) {
  const Node& node = graph.nodes[index];
  TensorProduct product;
  product.node = index;
  product.value[0] = node.inputs[0];
  product.value[1] = node.inputs[1];
  const bool read = facts.Is(node, "Einsum") ? SetEinsum(node, &product, problem)
                                             : SetMatMul(facts, node, &product, problem);
  if (!read) return std::nullopt;
  return product;
}

std::optional<ProductAxes> AxesOf(const TensorProduct& product) {
  ProductAxes axes;
  for (const int label : product.out) {
    const bool in[2] = {Contains(product.labels[0], label), Contains(product.labels[1], label)};
    if (in[0] && in[1]) {
      axes.shared.push_back(label);
    } else if (int& kept = axes.kept[in[0] ? 0 : 1]; kept < 0 && (in[0] || in[1])) {
      kept = label;
    } else {
      return std::nullopt;
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    for (const int label : product.labels[i]) {
      if (Contains(product.out, label) || label == axes.summed) continue;
      if (axes.summed >= 0 || !Contains(product.labels[1 - i], label)) return std::nullopt;
      axes.summed = label;
    }
  }
  if (axes.summed < 0 || axes.kept[0] < 0 || axes.kept[1] < 0) return std::nullopt;
  return axes;
}

}  // namespace backendctx::patterns
