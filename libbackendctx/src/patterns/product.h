// A product of two tensors by whatever operator, as the axes that it keeps and the one it sums
// over.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "patterns/facts.h"

namespace backendctx::patterns {

// Every axis of the operands and of the result carries a label; equal labels are the same axis.
struct TensorProduct {
  size_t node = 0;
  std::string value[2];
  std::vector<int> labels[2];
  std::vector<int> out;
  double factor = 1;  // what the operator multiplies by itself

  // The operand that `name` is; nothing when it is neither, or both.
  std::optional<size_t> OperandOf(const std::string& name) const;
};

// The roles of the labels of a product as attention has them: one axis summed, one kept of each
// operand, the others in both operands and in the result.
struct ProductAxes {
  std::vector<int> shared;  // in the result's order
  int summed = -1;
  int kept[2] = {-1, -1};
};

// MatMul, Einsum of two operands, com.microsoft's FusedMatMul.
bool IsProduct(const Facts& facts, const model::Node& node);
// Nothing: `problem` says why.
std::optional<TensorProduct> ReadProduct(const model::GraphView& graph, const Facts& facts,
                                         size_t node, std::string* problem);
std::optional<ProductAxes> AxesOf(const TensorProduct& product);

// The subscripts of an Einsum, without ellipsis, each label once an operand.
struct Subscripts {
  std::vector<std::string> inputs;
  std::string output;
};
std::optional<Subscripts> ReadSubscripts(const model::Node& einsum);

// Softmax-like normalisation by whatever nodes.
struct Normalisation {
  size_t node = 0;                      // the one to name
  std::vector<size_t> nodes;            // all of them
  std::string input, output;            // scores and probabilities
  size_t first_axis = 0, end_axis = 0;  // of the input: normalised together
};
// Softmax; Exp of LogSoftmax; Exp of the scores less their maximum, over its sum. `node`: the one
// that gives the probabilities. Nothing: `problem` says why, or is empty for nodes that do not
// normalise.
std::optional<Normalisation> ReadNormalisation(const model::GraphView& graph, const Facts& facts,
                                               size_t node, std::string* problem);
// Whether the node divides by a sum over an axis, or is a softmax of any kind: what may be
// attention when products stand on both sides.
bool Normalises(const model::GraphView& graph, const model::Node& node);

}  // namespace backendctx::patterns
