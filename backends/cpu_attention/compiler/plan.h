// The tile IR: what one work item loads, computes and stores, before any of it is code.
//
// Attention over a tile is always the same sequence: load queries; for each block of keys compute
// scores (a product), apply a list of score steps, drop what the predicate excludes, update the
// running softmax, accumulate the second product; normalise and store. What differs between
// partitions is in this struct, so the emitter has no other input and a plan can be printed, and
// compared, on its own.
#pragma once

#include <backendctx/plugin_abi.h>

#include <string>
#include <vector>

#include "abi/kernel_abi.h"
#include "compiler/result.h"
#include "compiler/target.h"

namespace backendctx::cpu_attention {

// How a tensor is read or written; axes of batch, head, sequence, channel.
struct Operand {
  int index = -1;
  int rank = 0;
  int axis[4] = {};

  bool unit_channel() const { return axis[3] == rank - 1; }
  bool unit_sequence() const { return axis[2] == rank - 1; }
};

struct ScoreStep {
  enum class Kind {
    kScale,    // s *= scale
    kSoftcap,  // s = softcap * tanh(s / softcap)
    kAdd,      // s += mask
    kKeep      // s = mask ? s : -inf
  };
  Kind kind;
  int mask = -1;
};

struct Plan {
  const Target* target = nullptr;
  Operand q, k, v, y;
  int64_t q_heads = -1, kv_heads = -1;
  int qk_head_size = 0, v_head_size = 0;
  float scale = 1;
  float softcap = 0;
  bool scale_in_q = false;  // exact (a power of two), so it costs nothing where q is loaded
  bool causal = false;
  bctx_masked_row masked_row = BCTX_MASKED_ROW_NAN;
  std::vector<ScoreStep> steps;
  std::vector<TableMask> masks;
  // Of bool masks: where the element is `drops`, the score becomes `fill`. For a driver such masks
  // are all alike.
  struct Fill {
    bool drops = false;
    float fill = 0;
  };
  std::vector<Fill> fills;  // one for each mask
  int input_count = 0, output_count = 0;

  int kv_block = 0;  // keys in one pass
  int q_tiles = 0;   // tiles in one work item

  int q_tile() const { return target->q_tile(); }
};

// Where each part of a work item's scratch starts, in floats.
struct ScratchLayout {
  int64_t q = 0;                 // [tile][channel][row], transposed queries
  int64_t out = 0;               // [tile][channel][row], accumulated output
  int64_t max = 0;               // [tile][row], running maximum of the scores
  int64_t sum = 0;               // [tile][row], running sum of the weights
  int64_t weights = 0;           // [key][row], scores, then weights
  int64_t mask[kMaxMasks] = {};  // [key][row]
  int64_t floats = 0;
};

// Choices that only change speed; 0: chosen here.
struct Tuning {
  int kv_block = 0;
  int q_tiles = 0;
};

Outcome MakePlan(const bctx_partition& partition, const Target& target, const Tuning& tuning,
                 Plan* plan);

ScratchLayout LayOutScratch(const Plan& plan);

KernelTable MakeTable(const Plan& plan);

// For people: the plan as text, one fact a line.
std::string Print(const Plan& plan);

}  // namespace backendctx::cpu_attention
