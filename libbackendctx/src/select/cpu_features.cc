// Asked of the processor (x86) or the kernel's auxiliary vector (aarch64) rather than read from
// /proc: no file to be missing in a sandbox, and a process whose cpuid is masked sees the mask.
// A vector extension counts only when the operating system saves its registers.
#include "select/cpu_features.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace backendctx::select {
namespace {

#if defined(__x86_64__)

enum Register { kEax, kEbx, kEcx, kEdx };
// Bits of XCR0 that must be set: none, SSE and AVX, and the three of AVX-512, and the two of AMX.
enum State : uint64_t { kAny = 0, kAvx = 0x6, kAvx512 = 0xe6, kAmx = 0x60000 };

struct Bit {
  uint32_t leaf, subleaf;
  Register where;
  unsigned bit;
  State state;
  const char* name;
};

constexpr Bit kBits[] = {
    {1, 0, kEdx, 25, kAny, "sse"},
    {1, 0, kEdx, 26, kAny, "sse2"},
    {1, 0, kEcx, 0, kAny, "pni"},  // SSE3
    {1, 0, kEcx, 1, kAny, "pclmulqdq"},
    {1, 0, kEcx, 9, kAny, "ssse3"},
    {1, 0, kEcx, 12, kAvx, "fma"},
    {1, 0, kEcx, 13, kAny, "cx16"},
    {1, 0, kEcx, 19, kAny, "sse4_1"},
    {1, 0, kEcx, 20, kAny, "sse4_2"},
    {1, 0, kEcx, 22, kAny, "movbe"},
    {1, 0, kEcx, 23, kAny, "popcnt"},
    {1, 0, kEcx, 25, kAny, "aes"},
    {1, 0, kEcx, 26, kAny, "xsave"},
    {1, 0, kEcx, 28, kAvx, "avx"},
    {1, 0, kEcx, 29, kAvx, "f16c"},
    {7, 0, kEbx, 3, kAny, "bmi1"},
    {7, 0, kEbx, 5, kAvx, "avx2"},
    {7, 0, kEbx, 8, kAny, "bmi2"},
    {7, 0, kEbx, 9, kAny, "erms"},
    {7, 0, kEbx, 16, kAvx512, "avx512f"},
    {7, 0, kEbx, 17, kAvx512, "avx512dq"},
    {7, 0, kEbx, 21, kAvx512, "avx512ifma"},
    {7, 0, kEbx, 28, kAvx512, "avx512cd"},
    {7, 0, kEbx, 29, kAny, "sha_ni"},
    {7, 0, kEbx, 30, kAvx512, "avx512bw"},
    {7, 0, kEbx, 31, kAvx512, "avx512vl"},
    {7, 0, kEcx, 1, kAvx512, "avx512vbmi"},
    {7, 0, kEcx, 6, kAvx512, "avx512_vbmi2"},
    {7, 0, kEcx, 8, kAny, "gfni"},
    {7, 0, kEcx, 9, kAvx, "vaes"},
    {7, 0, kEcx, 10, kAvx, "vpclmulqdq"},
    {7, 0, kEcx, 11, kAvx512, "avx512_vnni"},
    {7, 0, kEcx, 12, kAvx512, "avx512_bitalg"},
    {7, 0, kEcx, 14, kAvx512, "avx512_vpopcntdq"},
    {7, 0, kEdx, 22, kAmx, "amx_bf16"},
    {7, 0, kEdx, 23, kAvx512, "avx512_fp16"},
    {7, 0, kEdx, 24, kAmx, "amx_tile"},
    {7, 0, kEdx, 25, kAmx, "amx_int8"},
    {7, 1, kEax, 4, kAvx, "avx_vnni"},
    {7, 1, kEax, 5, kAvx512, "avx512_bf16"},
    {7, 1, kEax, 21, kAmx, "amx_fp16"},
    {7, 1, kEax, 23, kAvx, "avx_ifma"},
    {0x80000001, 0, kEcx, 0, kAny, "lahf_lm"},
    {0x80000001, 0, kEcx, 5, kAny, "abm"},  // LZCNT
    {0x80000001, 0, kEdx, 29, kAny, "lm"},
};

uint64_t SavedState() {
  uint32_t r[4] = {};
  constexpr uint32_t kOsxsave = 1u << 27;
  if (__get_cpuid(1, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]) == 0) return 0;
  if ((r[kEcx] & kOsxsave) == 0) return 0;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

std::vector<std::string> Detected() {
  const uint64_t saved = SavedState();
  std::vector<std::string> names;
  for (const Bit& bit : kBits) {
    uint32_t r[4] = {};
    // Fails for a leaf above the processor's highest.
    if (__get_cpuid_count(bit.leaf, bit.subleaf, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]) == 0) {
      continue;
    }
    const bool has = ((r[bit.where] >> bit.bit) & 1u) != 0;
    if (has && (saved & bit.state) == bit.state) names.emplace_back(bit.name);
  }
  return names;
}

// Up to 48 characters from three leaves, padded with spaces or NULs.
std::string BrandString() {
  std::string brand;
  for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    uint32_t r[4] = {};
    if (__get_cpuid(leaf, &r[kEax], &r[kEbx], &r[kEcx], &r[kEdx]) == 0) return {};
    brand.append(reinterpret_cast<const char*>(r), sizeof(r));
  }
  return brand;
}

#elif defined(__aarch64__)

struct Bit {
  unsigned long vector, mask;
  const char* name;
};

constexpr Bit kBits[] = {
    {AT_HWCAP, HWCAP_FP, "fp"},
    {AT_HWCAP, HWCAP_ASIMD, "asimd"},
    {AT_HWCAP, HWCAP_AES, "aes"},
    {AT_HWCAP, HWCAP_PMULL, "pmull"},
    {AT_HWCAP, HWCAP_SHA1, "sha1"},
    {AT_HWCAP, HWCAP_SHA2, "sha2"},
    {AT_HWCAP, HWCAP_CRC32, "crc32"},
    {AT_HWCAP, HWCAP_ATOMICS, "atomics"},
    {AT_HWCAP, HWCAP_FPHP, "fphp"},
    {AT_HWCAP, HWCAP_ASIMDHP, "asimdhp"},
    {AT_HWCAP, HWCAP_ASIMDRDM, "asimdrdm"},
    {AT_HWCAP, HWCAP_ASIMDDP, "asimddp"},
    {AT_HWCAP, HWCAP_SVE, "sve"},
    {AT_HWCAP, HWCAP_ASIMDFHM, "asimdfhm"},
    {AT_HWCAP2, HWCAP2_SVE2, "sve2"},
    {AT_HWCAP2, HWCAP2_I8MM, "i8mm"},
    {AT_HWCAP2, HWCAP2_BF16, "bf16"},
};

std::vector<std::string> Detected() {
  std::vector<std::string> names;
  for (const Bit& bit : kBits) {
    if ((getauxval(bit.vector) & bit.mask) != 0) names.emplace_back(bit.name);
  }
  return names;
}

std::string BrandString() { return {}; }  // the kernel has numbers of part and maker only

#else

std::vector<std::string> Detected() { return {}; }
std::string BrandString() { return {}; }

#endif

}  // namespace

std::string CpuArchitecture() {
  utsname names{};
  return uname(&names) == 0 ? names.machine : "";
}

std::string CpuModel() {
  std::string model = BrandString();
  model.resize(std::min(model.find('\0'), model.size()));
  model.erase(0, std::min(model.find_first_not_of(' '), model.size()));
  model.erase(model.find_last_not_of(' ') + 1);
  return base::IsCleanText(model) ? model : "";
}

std::vector<std::string> CpuFeatures() {
  std::vector<std::string> names = Detected();
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace backendctx::select
