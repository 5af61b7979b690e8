/* What the host finds in the shared object. */
#include "blob.h"

BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t max_abi_version) {
  return max_abi_version >= BCTX_PLUGIN_ABI_VERSION ? reference_plugin() : NULL;
}
