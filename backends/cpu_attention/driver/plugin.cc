#include "driver/driver.h"

// max_abi_version is unsigned: version 0 is known to every host.
extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t) {
  return backendctx::cpu_attention::DriverPlugin();
}
