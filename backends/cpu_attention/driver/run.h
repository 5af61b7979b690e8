// One call spread over the host's threads.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "driver/mapped_code.h"
#include "driver/operands.h"

namespace backendctx::cpu_attention {

// Memory that work items need, kept between calls: as many pieces as ever ran at once.
class ScratchPool {
 public:
  explicit ScratchPool(size_t bytes) : bytes_(bytes) {}
  ~ScratchPool();
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;

  float* Take();  // null: no memory
  void Give(float* piece);

 private:
  const size_t bytes_;
  std::mutex mutex_;
  std::vector<float*> free_;
};

// What load makes: the code, its table, its scratch. Immutable but for the pool.
struct Kernel {
  KernelTable table;
  std::unique_ptr<MappedCode> code;
  ScratchPool scratch;

  explicit Kernel(const KernelTable& the_table)
      : table(the_table), scratch(static_cast<size_t>(the_table.scratch_bytes)) {}
};

Outcome Run(Kernel& kernel, bctx_run* run);

}  // namespace backendctx::cpu_attention
