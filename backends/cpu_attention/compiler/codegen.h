// LLVM IR -> object -> hermetic shared object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/plan.h"
#include "compiler/result.h"

namespace backendctx::cpu_attention {

struct Object {
  std::string bytes;
  std::string ir;        // text; filled if `texts` was asked for
  std::string assembly;  // text; likewise
};

// Emits, optimises and assembles the kernel of a plan. Thread-safe.
Outcome Assemble(const Plan& plan, bool texts, Object* object);

// Links one object into an ELF shared object without imports, constructors, relocations or
// writable segments, and cuts off what only debuggers read. Thread-safe.
Outcome Link(const std::string& object, std::vector<uint8_t>* blob);

}  // namespace backendctx::cpu_attention
