// The compiler plug-in, loaded as a host loads it.
#pragma once

#include <backendctx/plugin_abi.h>

namespace backendctx::cpu_attention::test {

// Throws when it cannot be loaded: the tests that need it must not pass without it.
const bctx_plugin& CompilerPlugin();

}  // namespace backendctx::cpu_attention::test
