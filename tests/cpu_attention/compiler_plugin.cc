#include "cpu_attention/compiler_plugin.h"

#include <dlfcn.h>

#include <stdexcept>

namespace backendctx::cpu_attention::test {

const bctx_plugin& CompilerPlugin() {
  static const bctx_plugin* const plugin = [] {
    void* library = dlopen(BCTX_COMPILER_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    const auto query = reinterpret_cast<bctx_plugin_query_fn>(dlsym(library, "bctx_plugin_query"));
    if (query == nullptr) throw std::runtime_error("no bctx_plugin_query");
    return query(BCTX_PLUGIN_ABI_VERSION);
  }();
  return *plugin;
}

}  // namespace backendctx::cpu_attention::test
