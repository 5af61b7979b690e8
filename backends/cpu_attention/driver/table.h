// The entry table of a blob, checked on its own terms.
#pragma once

#include "abi/kernel_abi.h"
#include "driver/result.h"

namespace backendctx::cpu_attention {

// Every member in range and consistent with the others; kernel_offset is judged by the elf reader.
Outcome CheckTable(const KernelTable& table);

}  // namespace backendctx::cpu_attention
