// A parsed blob in memory, ready to be called.
#pragma once

#include <memory>

#include "driver/elf_image.h"

namespace backendctx::cpu_attention {

// Its pages are private to it: code is readable and executable, constants are readable, and no page
// is ever writable and executable, not even while it is made.
class MappedCode {
 public:
  static Outcome Map(const uint8_t* blob, const ElfImage& image, uint64_t page,
                     std::unique_ptr<MappedCode>* out);
  ~MappedCode();
  MappedCode(const MappedCode&) = delete;
  MappedCode& operator=(const MappedCode&) = delete;

  KernelFunction kernel() const { return kernel_; }

 private:
  MappedCode(void* base, size_t span) : base_(base), span_(span) {}

  void* base_;
  size_t span_;
  KernelFunction kernel_ = nullptr;
};

}  // namespace backendctx::cpu_attention
