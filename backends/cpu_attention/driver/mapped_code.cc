#include "driver/mapped_code.h"

#include <sys/mman.h>

#include <cstring>

namespace backendctx::cpu_attention {

MappedCode::~MappedCode() { munmap(base_, span_); }

Outcome MappedCode::Map(const uint8_t* blob, const ElfImage& image, uint64_t page,
                        std::unique_ptr<MappedCode>* out) {
  void* base =
      mmap(nullptr, image.span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    return {BCTX_INTERNAL, "no memory for an image of " + std::to_string(image.span) + " bytes"};
  }
  std::unique_ptr<MappedCode> code(new MappedCode(base, image.span));
  auto* start = static_cast<uint8_t*>(base);
  for (const ElfSegment& segment : image.segments) {
    std::memcpy(start + segment.address, blob + segment.offset, segment.file_bytes);
  }
  for (const ElfRelocation& relocation : image.relocations) {
    const uint64_t value = reinterpret_cast<uintptr_t>(start) + relocation.addend;
    std::memcpy(start + relocation.address, &value, sizeof(value));
  }
  for (const ElfSegment& segment : image.segments) {
    if (segment.write) continue;
    const uint64_t first = segment.address / page * page;
    const uint64_t end = (segment.address + segment.memory_bytes + page - 1) / page * page;
    const int protection = PROT_READ | (segment.execute ? PROT_EXEC : 0);
    if (segment.execute) {
      __builtin___clear_cache(
          reinterpret_cast<char*>(start + segment.address),
          reinterpret_cast<char*>(start + segment.address + segment.memory_bytes));
    }
    if (mprotect(start + first, end - first, protection) != 0) {
      return {BCTX_INTERNAL, "this process may not map executable memory"};
    }
  }
  code->kernel_ = reinterpret_cast<KernelFunction>(start + image.kernel);
  *out = std::move(code);
  return {};
}

}  // namespace backendctx::cpu_attention
