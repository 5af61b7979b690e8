// A plug-in for the tests; a definition FAKE_<what> makes it wrong in one way.
#include <stdexcept>

#include "plugin_abi.h"

struct bctx_kernel {
  int value;
};

namespace {

const char* const kTargets[] = {"any", nullptr};
const char* const kKeys[] = {nullptr};

bctx_code Compile(const bctx_compile_request*, bctx_blob* blob, bctx_error*) {
  static const uint8_t bytes[] = {1, 2, 3};
  blob->bytes = {bytes, sizeof(bytes)};
  blob->entry = "main";
  return BCTX_OK;
}
void ReleaseBlob(bctx_blob*) {}

bctx_code Load(const bctx_load_request* request, bctx_kernel** kernel, bctx_error*) {
  *kernel = new bctx_kernel{static_cast<int>(request->blob.size)};
  return BCTX_OK;
}
bctx_code Run(bctx_kernel*, bctx_run*, bctx_error*) { return BCTX_OK; }
void Unload(bctx_kernel* kernel) { delete kernel; }

[[maybe_unused]] bctx_plugin MakeTable() {
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "fake-good";
  table.version = "1.0";
  table.targets = kTargets;
  table.option_keys = kKeys;
  table.compile = Compile;
  table.release_blob = ReleaseBlob;
  table.load = Load;
  table.run = Run;
  table.unload = Unload;
#if defined(FAKE_other_version)
  table.abi_version = BCTX_PLUGIN_ABI_VERSION + 1;
#elif defined(FAKE_short_table)
  table.struct_size = 4;
#elif defined(FAKE_no_functions)
  table.compile = nullptr;
  table.release_blob = nullptr;
  table.load = nullptr;
  table.run = nullptr;
  table.unload = nullptr;
#elif defined(FAKE_half_driver)
  table.run = nullptr;
#elif defined(FAKE_bad_name)
  table.backend = "Fake\nBackend";
#endif
  return table;
}

}  // namespace

#if !defined(FAKE_no_symbol)
extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t) {
#if defined(FAKE_null_table)
  return nullptr;
#elif defined(FAKE_query_throws)
  throw std::runtime_error("from bctx_plugin_query");
#else
  static const bctx_plugin table = MakeTable();
  return &table;
#endif
}
#else
// Keeps the functions used.
extern "C" BCTX_PLUGIN_EXPORT bctx_plugin another_name() { return MakeTable(); }
#endif
