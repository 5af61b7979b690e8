// The inner product that both halves of attention share, and the functions of the softmax.
#pragma once

#include "compiler/ir.h"

namespace backendctx::cpu_attention {

// One register tile of an outer-product accumulation, in loop form:
//
//   acc[r][v] += sum over k < count of  broadcast(rows[r] + k * row_step) * panel[k][v]
//
// rows: R pointers to floats, row_step bytes apart from term to term. panel: vectors of `tile`
// floats a term. acc: R x V vectors, row major. The broadcast operand is read in place through
// strides, so keys and values are never packed; the panel (queries, or weights) is ours.
struct Product {
  Ir::Values rows;
  llvm::Value* row_step;  // bytes
  llvm::Value* panel;
  int tile;            // floats from one term of the panel to the next
  int vectors;         // V
  llvm::Value* count;  // at least 1, and a multiple of `unroll`
  int unroll;
};
Ir::Values Accumulate(Ir& ir, const Product& product, const Ir::Values& init);

// e^x for x <= 0 of a vector of floats, to about 2 units in the last place. Zero, not a denormal,
// below the smallest normal result; NaN stays NaN.
llvm::Value* Exp(Ir& ir, llvm::Value* x);

// tanh(x), relative error of a few units in the last place also near zero.
llvm::Value* Tanh(Ir& ir, llvm::Value* x);

// Transposes n vectors of n floats; n is 4 or 8.
Ir::Values Transpose(Ir& ir, const Ir::Values& rows);

}  // namespace backendctx::cpu_attention
