// What this machine's processor and operating system can execute.
#pragma once

#include "abi/kernel_abi.h"
#include "driver/result.h"

namespace backendctx::cpu_attention {

// BCTX_INCOMPATIBLE names the first feature that is missing.
Outcome CheckMachine(uint16_t elf_machine, Isa isa);

}  // namespace backendctx::cpu_attention
