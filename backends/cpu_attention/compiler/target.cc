#include "compiler/target.h"

namespace backendctx::cpu_attention {
namespace {

constexpr const char* kV3Features[] = {"abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"};
constexpr const char* kV4Features[] = {"abm",      "avx2",    "avx512bw", "avx512cd",
                                       "avx512dq", "avx512f", "avx512vl", "bmi1",
                                       "bmi2",     "f16c",    "fma",      "movbe"};
constexpr const char* kAarch64Features[] = {"asimd", "fp"};

constexpr Target kTargets[] = {
    {.name = "x86-64-v3",
     .isa = Isa::kX86V3,
     .triple = "x86_64-unknown-linux-gnu",
     .cpu = "x86-64-v3",
     .features = "",
     .arch = "x86_64",
     .cpu_features = kV3Features,
     .vector_bits = 256,
     .lanes = 8,
     .vectors = 3,
     .rows = {0, 8, 4, 4},
     .unroll = 4,
     .transpose = 8},
    {.name = "x86-64-v4",
     .isa = Isa::kX86V4,
     .triple = "x86_64-unknown-linux-gnu",
     .cpu = "x86-64-v4",
     .features = "-prefer-256-bit",
     .arch = "x86_64",
     .cpu_features = kV4Features,
     .vector_bits = 512,
     .lanes = 16,
     .vectors = 3,
     .rows = {0, 8, 8, 8},
     .unroll = 4,
     .transpose = 8},
    {.name = "aarch64",
     .isa = Isa::kAarch64,
     .triple = "aarch64-unknown-linux-gnu",
     .cpu = "generic",
     .features = "+neon",
     .arch = "aarch64",
     .cpu_features = kAarch64Features,
     .vector_bits = 128,
     .lanes = 4,
     .vectors = 3,
     .rows = {0, 8, 8, 8},
     .unroll = 1,
     .transpose = 4},
};

}  // namespace

std::span<const Target> Targets() { return kTargets; }

const Target* FindTarget(std::string_view name) {
  for (const Target& target : kTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

}  // namespace backendctx::cpu_attention
