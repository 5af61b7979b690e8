// What happens to the scores between the two products, by algebra.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "patterns/attention.h"
#include "patterns/facts.h"

namespace backendctx::patterns {

// softmax(masks + cap(scale * q . k)): what the nodes between a product and a normalisation
// compute.
struct Scores {
  std::vector<size_t> nodes;  // without the product; the one nearest to the normalisation first
  size_t product = 0;         // what makes the scores
  double scale = 1;
  double softcap = 0;        // 0: none
  std::vector<Mask> masks;   // nearest to the product first
  std::vector<size_t> adds;  // the node of each mask
};

// What becomes of the probabilities until they multiply V.
struct Probabilities {
  std::vector<size_t> nodes;  // in order
  std::string value;          // the operand of the product
  size_t product = 0;         // the product with V
  bool zero_masked_rows = false;
};

// Where a reading stopped, and why.
struct Stop {
  std::string node;  // name or key
  std::string reason;
};

// Reads back from `value`, the scores that are normalised; of an Add whose sides both lead to a
// product, the `first` one is read as the scores, the other is a mask. Nothing: `stop` is filled.
std::optional<Scores> ReadScores(const model::GraphView& graph, const Facts& facts,
                                 const std::string& value, size_t first, Stop* stop);
// Reads on from `value`, the probabilities.
std::optional<Probabilities> ReadProbabilities(const model::GraphView& graph, const Facts& facts,
                                               const std::string& value, Stop* stop);

// Whether the nodes around `node` that may belong to attention lead to a product, backwards or on.
bool ReachesProduct(const model::GraphView& graph, size_t node, bool forward);

// A name for messages.
std::string NameOf(const model::Node& node);

// Whether a mask broadcasts to scores of these dimensions without making them larger; else why not.
std::optional<std::string> MaskProblem(const Facts& facts, const Mask& mask,
                                       const std::vector<Expr>& scores);

}  // namespace backendctx::patterns
