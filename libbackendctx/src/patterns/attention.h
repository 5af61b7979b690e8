// Finding attention however it was written: what multiplies the scores, what is added to them,
// which axis is normalised, what the probabilities multiply.
//
// FindAttention reads one graph (subgraphs are called one by one) and returns the regions that it
// can prove to be
//   y = softmax(scale * q . k [softcap] + masks [causal], over keys) . v
// together with what looked like attention but was not taken, with the node and the reason.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "model/graph_view.h"

namespace backendctx::patterns {

// How a boundary tensor holds batch, head, sequence and channel: axis[i] is the tensor's axis for
// i = batch, head, sequence, channel. Rank 3 is packed: head and channel share the last axis.
struct Operand {
  std::string value;
  int axis[4] = {0, 1, 2, 3};
};

struct Mask {
  // kAdd: float, added after scale and softcap. Bool: true = attend, or true = masked; where masked
  // the score becomes `fill`, which is negative.
  enum class Kind { kAdd, kKeep, kDrop };
  // Broadcasts from the right to (batch, head, query, key); rank 3 of one head: without head.
  std::string value;
  Kind kind = Kind::kAdd;
  float fill = -std::numeric_limits<float>::infinity();
};

// What fills the elements of a boundary input when a region is tried alone: its shape in terms of
// the region's free dimensions, and, for inputs that are shapes or numbers, the values themselves.
// An Extent is a constant, or a factor times a free dimension: "B", "Hq", "Hk", "Sq" or "Sk". Sizes
// that are equal in every run have one symbol: self-attention has "Sq" and no "Sk".
struct Extent {
  int64_t constant = -1;  // without a symbol: this (-1 too, as an element of a Reshape's shape)
  std::string symbol;     // else factor times this free dimension
  int64_t factor = 1;
};
struct InputShape {
  std::string value;
  std::vector<Extent> dims;
  bool has_values = false;
  std::vector<Extent> values;  // of an integer or bool input, in element order
  std::vector<float> floats;   // of a float input whose value is proved; else empty
};

struct Attention {
  std::vector<size_t> nodes;           // indices into the graph's nodes, ascending
  std::vector<std::string> inputs;     // activations, in order of first use
  std::vector<std::string> constants;  // initializers and Constant outputs that the nodes read
  std::vector<std::string> outputs;
  Operand q, k, v, y;
  int64_t q_heads = -1, kv_heads = -1;
  int64_t qk_head_size = 0, v_head_size = 0;
  float scale = 1;
  float softcap = 0;
  bool causal = false;
  // A row whose every key is -inf has weights of 0, else NaN. Without lowest_masks, that is behind
  // a guard against NaN, so has a row with NaN or +inf among its scores.
  bool zero_masked_rows = false;
  // An addend of the lowest finite value masks as -inf does: the operator.
  bool lowest_masks = false;
  std::vector<Mask> masks;               // at most 2
  std::vector<InputShape> input_shapes;  // one for each of `inputs`
  std::string form;                      // "Attention-23", "decomposed": for the report
};

struct NotTaken {
  std::string node;    // the node that stopped the match: its name, else its Key()
  std::string op;      // the operator where the candidate was seen: "Softmax", "Attention"
  std::string reason;  // lower case, no period
};

struct AttentionReport {
  std::vector<Attention> found;
  std::vector<NotTaken> not_taken;
};

AttentionReport FindAttention(const model::ModelView& model, const model::GraphView& graph);

// What looks like attention inside functions of the model's own, which are not taken apart.
std::vector<NotTaken> LookIntoFunctions(const model::ModelView& model);

}  // namespace backendctx::patterns
