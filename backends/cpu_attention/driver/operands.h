// Shapes and strides of one call.
#pragma once

#include <backendctx/plugin_abi.h>

#include "abi/kernel_abi.h"
#include "driver/result.h"

namespace backendctx::cpu_attention {

// Strides in elements.
struct View {
  char* data = nullptr;
  int64_t batch = 0, head = 0, sequence = 0, channel = 0;
};

struct MaskView {
  const char* data = nullptr;
  int64_t element_bytes = 0;
  int64_t batch = 0, head = 0, query = 0, key = 0;  // 0: broadcast
};

struct Call {
  int64_t batch = 0, q_heads = 0, kv_heads = 0;
  int64_t queries = 0, keys = 0;
  View q, k, v, y;
  MaskView masks[kMaxMasks];
  int64_t y_dims[4] = {};
};

// Checks every operand against the table and the others; y.data is not set.
Outcome ReadShapes(const KernelTable& table, const bctx_run& run, Call* call);

}  // namespace backendctx::cpu_attention
