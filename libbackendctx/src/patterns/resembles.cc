// What resembles attention, for reports: products around a normalisation, with anything usual
// between.
#include <unordered_set>

#include "patterns/scores.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

constexpr size_t kMaxSearch = 64;  // nodes looked at for products

bool IsAnyProduct(const Node& node) {
  static const std::unordered_set<std::string> kOps = {"MatMul",
                                                       "Einsum",
                                                       "Gemm",
                                                       "MatMulInteger",
                                                       "QLinearMatMul",
                                                       "FusedMatMul",
                                                       "FusedGemm",
                                                       "MatMulNBits",
                                                       "QGemm",
                                                       "MatMulIntegerToFloat",
                                                       "QMatMul",
                                                       "TransposeMatMul",
                                                       "DynamicQuantizeMatMul"};
  return kOps.count(node.op_type) > 0;
}

// What may stand between products and a normalisation in anything that resembles attention:
// elementwise operators and those that move elements.
bool IsBetween(const Node& node) {
  static const std::unordered_set<std::string> kOps = {"Add",
                                                       "Sub",
                                                       "Mul",
                                                       "Div",
                                                       "Where",
                                                       "Cast",
                                                       "Identity",
                                                       "Tanh",
                                                       "Clip",
                                                       "Max",
                                                       "Min",
                                                       "Dropout",
                                                       "Reshape",
                                                       "Transpose",
                                                       "Squeeze",
                                                       "Unsqueeze",
                                                       "Flatten",
                                                       "IsNaN",
                                                       "Slice",
                                                       "Concat",
                                                       "Split",
                                                       "Gather",
                                                       "Softplus",
                                                       "Sigmoid",
                                                       "Abs",
                                                       "Neg",
                                                       "Pow",
                                                       "Relu",
                                                       "Exp",
                                                       "Log",
                                                       "Sqrt",
                                                       "Expand",
                                                       "Tile",
                                                       "CastLike",
                                                       "Sin",
                                                       "Cos",
                                                       "Elu",
                                                       "LeakyRelu",
                                                       "Selu",
                                                       "PRelu",
                                                       "Erf",
                                                       "Gelu",
                                                       "Sum",
                                                       "Reciprocal",
                                                       "Sign",
                                                       "HardSigmoid",
                                                       "Pad",
                                                       "Trilu",
                                                       "ReduceMax",
                                                       "ReduceSum",
                                                       "Not",
                                                       "QuantizeLinear",
                                                       "DequantizeLinear",
                                                       "ThresholdedRelu",
                                                       "DynamicQuantizeLinear"};
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

}  // namespace

bool ReachesProduct(const GraphView& graph, size_t start, bool forward) {
  std::unordered_set<size_t> seen = {start};
  std::vector<size_t> pending = {start};
  while (!pending.empty() && seen.size() < kMaxSearch) {
    const size_t index = pending.back();
    pending.pop_back();
    for (const size_t next : Neighbours(graph, graph.nodes[index], forward)) {
      if (IsAnyProduct(graph.nodes[next])) return true;
      if (IsBetween(graph.nodes[next]) && seen.insert(next).second) pending.push_back(next);
    }
  }
  return false;
}

}  // namespace backendctx::patterns
