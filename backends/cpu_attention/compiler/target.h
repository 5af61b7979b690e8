// The machines that this compiler writes code for, one row each.
#pragma once

#include <span>
#include <string_view>

#include "abi/kernel_abi.h"

namespace backendctx::cpu_attention {

// Vectors are native registers: a wider type would be split and spill. The micro-kernel holds
// rows x vectors accumulators, `vectors` operands and one broadcast, which has to fit the register
// file; narrow tiles (the last rows of a block) take more rows so that latency stays covered.
struct Target {
  std::string_view name;  // as users write it
  Isa isa;
  const char* triple;
  const char* cpu;                            // of LLVM
  const char* features;                       // of LLVM, beyond the cpu's
  const char* arch;                           // of the host profile
  std::span<const char* const> cpu_features;  // of the host profile; sorted
  int vector_bits;
  int lanes;    // floats in one register
  int vectors;  // registers of query rows in a full tile
  int rows[4];  // micro-kernel rows for a tile of 1, 2, ... vectors; [0] is unused
  // Channels a round in the score product. The product over keys is never unrolled: their number is
  // not known, and one spilled accumulator costs a third of the speed.
  int unroll;
  int transpose;  // rows and columns of one in-register transpose

  int q_tile() const { return lanes * vectors; }
};

// Null: no such target.
const Target* FindTarget(std::string_view name);

std::span<const Target> Targets();

}  // namespace backendctx::cpu_attention
