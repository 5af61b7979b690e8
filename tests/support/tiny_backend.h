// A backend for tests: its compiler makes a blob of a few hundred bytes that holds what it was
// given, and its driver loads that and refuses to run it. Behind the same C struct as the real
// ones, so that packages can be made, opened and selected from where no compiler is built.
#pragma once

#include "backendctx/plugin_abi.h"

namespace backendctx::tests {

// Targets "tiny" (any machine) and "tiny-nowhere" (no machine has what it asks for).
const bctx_plugin* TinyBackend();

}  // namespace backendctx::tests
