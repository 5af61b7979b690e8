#include "driver/cpu_features.h"

#include <elf.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace backendctx::cpu_attention {
namespace {

#if defined(__x86_64__)

constexpr uint16_t kMachine = EM_X86_64;

enum Register { kEax, kEbx, kEcx, kEdx };

struct Feature {
  const char* name;
  uint32_t leaf;
  Register reg;
  int bit;
  Isa from;  // wanted by this and later sets
};

// The x86-64 psABI's level 3, then level 4.
constexpr Feature kFeatures[] = {
    {"sse3", 1, kEcx, 0, Isa::kX86V3},
    {"ssse3", 1, kEcx, 9, Isa::kX86V3},
    {"fma", 1, kEcx, 12, Isa::kX86V3},
    {"cx16", 1, kEcx, 13, Isa::kX86V3},
    {"sse4_1", 1, kEcx, 19, Isa::kX86V3},
    {"sse4_2", 1, kEcx, 20, Isa::kX86V3},
    {"movbe", 1, kEcx, 22, Isa::kX86V3},
    {"popcnt", 1, kEcx, 23, Isa::kX86V3},
    {"osxsave", 1, kEcx, 27, Isa::kX86V3},
    {"avx", 1, kEcx, 28, Isa::kX86V3},
    {"f16c", 1, kEcx, 29, Isa::kX86V3},
    {"bmi1", 7, kEbx, 3, Isa::kX86V3},
    {"avx2", 7, kEbx, 5, Isa::kX86V3},
    {"bmi2", 7, kEbx, 8, Isa::kX86V3},
    {"lahf_lm", 0x80000001, kEcx, 0, Isa::kX86V3},
    {"abm", 0x80000001, kEcx, 5, Isa::kX86V3},
    {"avx512f", 7, kEbx, 16, Isa::kX86V4},
    {"avx512dq", 7, kEbx, 17, Isa::kX86V4},
    {"avx512cd", 7, kEbx, 28, Isa::kX86V4},
    {"avx512bw", 7, kEbx, 30, Isa::kX86V4},
    {"avx512vl", 7, kEbx, 31, Isa::kX86V4},
};

bool Has(const Feature& feature) {
  uint32_t r[4] = {};
  if (__get_cpuid_count(feature.leaf, 0, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]) == 0) return false;
  return ((r[feature.reg] >> feature.bit) & 1) != 0;
}

// Which register files the operating system saves; only valid with osxsave.
uint64_t SavedState() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

Outcome CheckIsa(Isa isa) {
  for (const Feature& feature : kFeatures) {
    if (isa >= feature.from && !Has(feature)) {
      return Incompatible(std::string("this processor lacks ") + feature.name);
    }
  }
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;
  const uint64_t wanted = isa == Isa::kX86V4 ? kZmm : kYmm;
  if ((SavedState() & wanted) != wanted) {
    return Incompatible("this operating system does not save the wide vector registers");
  }
  return {};
}

#elif defined(__aarch64__)

constexpr uint16_t kMachine = EM_AARCH64;
constexpr unsigned long kFp = 1UL << 0, kAsimd = 1UL << 1;  // of AT_HWCAP

Outcome CheckIsa(Isa) {
  const unsigned long wanted = kFp | kAsimd;
  if ((getauxval(AT_HWCAP) & wanted) != wanted) return Incompatible("this processor lacks asimd");
  return {};
}

#else
#error "no driver for this machine"
#endif

}  // namespace

Outcome CheckMachine(uint16_t elf_machine, Isa isa) {
  if (elf_machine != kMachine) {
    return Incompatible("blob is for elf machine " + std::to_string(elf_machine) +
                        ", this machine is " + std::to_string(kMachine));
  }
  return CheckIsa(isa);
}

}  // namespace backendctx::cpu_attention
