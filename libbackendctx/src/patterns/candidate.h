// The common end of every form: operands, masks and numbers are read, the region is to be chosen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "patterns/attention.h"
#include "patterns/causal.h"
#include "patterns/chain.h"
#include "patterns/product.h"
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
  // Of a mask that was read as causality: its last two axes, which must be queries and keys.
  std::vector<Expr> causal_axes;
  std::string y;          // what the core gives
  AxisRoles y_axes;       // unless packed
  bool packed = false;    // rank 3 tensors with heads and channels on one axis
  bool headless = false;  // the scores that masks are added to are (batch, query, key)
};

// Ways to read the same nodes.
struct Reading {
  size_t first_side = 0;     // as in ReadScores
  bool split_batch = false;  // the batch of rank 3 products is batch and heads
};

// Chooses the boundary: as far back as the operands can be read through strides, nearer where a
// value in between is needed elsewhere. Nothing: `stop` is filled.
std::optional<Attention> Complete(const model::GraphView& graph, Facts* facts, Candidate candidate,
                                  Stop* stop);

// A normalisation between two products; an Attention operator. Nothing: `stop` is filled, or has no
// reason where the reading makes no sense.
std::optional<Candidate> MatchDecomposed(const model::GraphView& graph, Facts* facts,
                                         const Normalisation& normalisation, Reading reading,
                                         Stop* stop);
std::optional<Candidate> MatchAttentionOperator(const model::GraphView& graph, Facts* facts,
                                                size_t node, Stop* stop);
std::optional<Candidate> MatchMultiHeadAttention(const model::GraphView& graph, Facts* facts,
                                                 size_t node, Stop* stop);

// The same with a mask that is causality and nothing else taken in; nothing when none is. The
// region then computes the mask itself, so that it is causal whatever surrounds it.
std::optional<Candidate> WithCausalMaskInside(const model::GraphView& graph, const Facts& facts,
                                              Candidate candidate);

// Whether an operator has its input or output `i`: the last ones may be missing, any may be empty.
bool IsGiven(const std::vector<std::string>& names, size_t i);
// The one cut of a packed operand, (B, S, heads * channels).
Chain PackedOperand(const Facts& facts, const std::string& value, int64_t heads);
// The scale attribute, else one over the root of the head size.
std::optional<double> ScaleOf(const Symbols& symbols, const model::Node& node, const Cut& q);

}  // namespace backendctx::patterns
