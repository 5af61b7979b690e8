// The driver's table, for programs that link the driver instead of loading it.
#pragma once

#include <backendctx/plugin_abi.h>

namespace backendctx::cpu_attention {

const bctx_plugin* DriverPlugin();

}  // namespace backendctx::cpu_attention
