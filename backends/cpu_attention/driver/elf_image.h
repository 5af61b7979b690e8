// The structure of a compiled blob: read, judged, and only then believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "abi/kernel_abi.h"
#include "driver/result.h"

namespace backendctx::cpu_attention {

struct ElfSegment {
  uint64_t offset, file_bytes;     // in the blob
  uint64_t address, memory_bytes;  // in the image
  bool write, execute;
};

// *(uint64_t*)(image + address) = image + addend
struct ElfRelocation {
  uint64_t address;
  uint64_t addend;
};

struct ElfImage {
  uint16_t machine = 0;              // EM_X86_64 or EM_AARCH64
  uint64_t span = 0;                 // bytes of memory from the image's start, whole pages
  std::vector<ElfSegment> segments;  // ascending, no two on one page
  std::vector<ElfRelocation> relocations;
  uint64_t entry = 0;  // address of the exported table
  KernelTable table{};
  uint64_t kernel = 0;  // address of the function, inside an executable segment
};

// Pages are mapped in this size, the largest that the supported machines use is 64 KiB: images for
// them are laid out for it.
inline constexpr uint64_t kMinPage = 4096;

// Everything but the machine is judged here, so that a blob for another machine is told from a
// damaged one. BCTX_MALFORMED names the part, what was found and what was expected.
Outcome ParseElf(const uint8_t* blob, size_t size, const char* entry, uint64_t page,
                 ElfImage* image);

}  // namespace backendctx::cpu_attention
