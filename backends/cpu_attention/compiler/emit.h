// Plan -> LLVM IR: the functions of one kernel.
#pragma once

#include <llvm/IR/Module.h>

#include <memory>

#include "compiler/ir.h"
#include "compiler/plan.h"

namespace backendctx::cpu_attention {

// What every emitter of one kernel shares.
struct Emitter {
  const Plan& plan;
  ScratchLayout layout;
  Ir ir;

  Emitter(const Plan& the_plan, llvm::Module* module)
      : plan(the_plan), layout(LayOutScratch(the_plan)), ir(module, the_plan.target->lanes) {}

  // A member of KernelArgs.
  llvm::Value* Int(llvm::Value* args, size_t offset);
  llvm::Value* Pointer(llvm::Value* args, size_t offset);
  // A stride in bytes; `unit`: known to be one float.
  llvm::Value* StrideBytes(llvm::Value* args, size_t offset, bool unit);
  // Part of scratch, as a pointer.
  llvm::Value* Scratch(llvm::Value* scratch, int64_t floats) { return ir.At(scratch, floats * 4); }
};

// void (args, q_tile_out, first_row): transposes the queries of one tile into scratch. Lanes beyond
// the last row repeat it.
llvm::Function* EmitLoadQueries(Emitter& e);

// void (args, out, sum, first_row): normalises one tile and writes its rows.
llvm::Function* EmitStoreOutput(Emitter& e);

// Masks come into scratch as one vector row a key, unless they are open, where nothing is written:
// real masks are mostly zero, or true, and looking is cheaper than transposing. Closed: every
// element masks, with -2^127 or less.
inline constexpr int64_t kMaskOpen = 0, kMaskMixed = 1, kMaskClosed = 2;

// i64 (tile_out, data, key_stride, keys): a mask that is the same for all rows, spread over lanes.
llvm::Function* EmitRowMask(Emitter& e, int mask);

// i64 (tile_out, data, row_stride, key_stride, rows, keys, may_skip): a mask with rows, transposed.
// Closed is only said, and nothing written, where may_skip is not 0.
llvm::Function* EmitTileMask(Emitter& e, int mask);

// void (args, k, v, q_tile, out, max, sum, scratch, keys, limit, masks): one tile of queries
// against one block of keys. Row i of the tile attends to key j of the block if j <= i + limit. Bit
// m of masks: mask m is in scratch; else it changes nothing here.
llvm::Function* EmitTileStep(Emitter& e, int vectors);

// The whole: functions above, kernel, table under kEntryName.
void EmitKernel(const Plan& plan, llvm::Module* module);

}  // namespace backendctx::cpu_attention
