// The common end of every form: operands, masks and numbers are read, the region is to be chosen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "patterns/attention.h"
#include "patterns/chain.h"
#include "patterns/scores.h"

namespace backendctx::patterns {

struct Candidate {
  std::string form;
  std::vector<size_t> core;  // from the products to y, without what the chains hold
  Chain q, k, v;
  std::vector<Mask> masks;
  double scale = 1;  // of the core; the chains add theirs
  double softcap = 0;
  bool causal = false;
  bool zero_masked_rows = false;
  bool lowest_masks = false;
  std::string y;        // what the core gives
  bool packed = false;  // rank 3 tensors with heads and channels on one axis
};

// Chooses the boundary: as far back as the operands can be read through strides, nearer where a
// value in between is needed elsewhere. Nothing: `stop` is filled.
std::optional<Attention> Complete(const model::GraphView& graph, Facts* facts, Candidate candidate,
                                  Stop* stop);

// A Softmax between two products (first_side: as in ReadScores); an Attention operator. Nothing:
// `stop` is filled.
std::optional<Candidate> MatchSoftmax(const model::GraphView& graph, Facts* facts, size_t node,
                                      size_t first_side, Stop* stop);
std::optional<Candidate> MatchAttentionOperator(const model::GraphView& graph, Facts* facts,
                                                size_t node, Stop* stop);

}  // namespace backendctx::patterns
