#include "driver/driver.h"

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t max_abi_version) {
  if (max_abi_version < BCTX_PLUGIN_ABI_VERSION) return nullptr;
  return backendctx::cpu_attention::DriverPlugin();
}
