// What the CPU attention compiler leaves in a blob, and what its driver hands to the code in it.
//
// A blob is an ELF shared object with one exported symbol, a KernelTable: all that the driver needs
// to know, so that it never looks at the graph. The kernel itself is found by its distance from the
// table, which needs no relocation. The kernel computes one work item: a block of query rows of one
// (batch, query head) against all keys. It reads and writes through strides, keeps no state, calls
// nothing and needs `scratch_bytes` of memory from the caller.
//
// The SysV convention of the machine; strides are in elements; pointers are to float unless said.
#pragma once

#include <cstddef>
#include <cstdint>

namespace backendctx::cpu_attention {

inline constexpr char kTableMagic[8] = {'B', 'C', 'T', 'X', 'A', 'T', 'T', 'N'};
inline constexpr uint32_t kTableVersion = 1;
inline constexpr char kEntryName[] = "bctx_attention_table";

inline constexpr int32_t kMaxMasks = 2;

enum class Isa : uint32_t { kX86V3 = 1, kX86V4 = 2, kAarch64 = 3 };

// Axis of batch, head, sequence, channel; head == channel in a packed tensor of rank 3.
struct TableOperand {
  int32_t index;
  int32_t rank;
  int32_t axis[4];
};

struct TableMask {
  int32_t index;
  int32_t kind;  // bctx_mask_kind
};

// Plain bytes of the blob: every member is checked before it is used.
struct KernelTable {
  char magic[8];
  uint32_t version;
  uint32_t table_bytes;
  uint32_t isa;           // Isa
  uint32_t args_bytes;    // sizeof(KernelArgs), so that a changed struct cannot be passed
  int64_t kernel_offset;  // from the table's first byte
  uint64_t scratch_bytes;
  int64_t q_heads, kv_heads;  // -1: from the operand
  int32_t qk_head_size, v_head_size;
  int32_t q_tile;      // rows that share one pass over a key block
  int32_t q_tiles;     // most tiles in one work item
  int32_t kv_block;    // keys in one pass
  int32_t causal;      // 0 or 1
  int32_t masked_row;  // bctx_masked_row
  float scale;
  float softcap;
  int32_t mask_count;
  int32_t input_count, output_count;
  TableOperand q, k, v, y;
  TableMask masks[kMaxMasks];
};
static_assert(sizeof(KernelTable) == 216, "the table is part of the format");

struct KernelMask {
  const void* data;  // element of the item's first row and first key: float, or bool as bytes
  int64_t q_stride;  // 0: broadcast
  int64_t k_stride;  // 0: broadcast
};

struct KernelArgs {
  const float* q;  // first row of the item
  const float* k;  // first key
  const float* v;
  float* y;  // first row of the item
  int64_t q_stride, q_channel;
  int64_t k_stride, k_channel;
  int64_t v_stride, v_channel;
  int64_t y_stride, y_channel;
  int64_t rows;    // 1 .. q_tile * q_tiles
  int64_t keys;    // 0 and up
  int64_t causal;  // row i attends to key j if j <= i + causal
  KernelMask masks[kMaxMasks];
};
static_assert(sizeof(KernelArgs) == 168, "the kernel reads by offset");

// scratch: at least scratch_bytes, aligned to 64.
using KernelFunction = void (*)(const KernelArgs* args, float* scratch);

}  // namespace backendctx::cpu_attention
