#include "support/tiny_backend.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace backendctx::tests {
namespace {

constexpr char kMagic[8] = {'T', 'I', 'N', 'Y', 'B', 'L', 'O', 'B'};

// What the blob holds: fixed-size, so that its bytes are the struct's.
struct TinyBlob {
  char magic[8];
  bctx_attention attention;
  uint8_t padding[64];
};

bctx_code Fail(bctx_error* error, bctx_code code, const char* message) {
  std::strncpy(error->message, message, sizeof(error->message) - 1);
  return code;
}

const char* const kHere[] = {"linux"};
const char* const kNowhere[] = {"a-feature-of-no-machine"};
const bctx_requirement kAny[] = {{"os", BCTX_EQUALS, kHere, 1, 0}};
const bctx_requirement kNone[] = {{"cpu.features", BCTX_CONTAINS_ALL, kNowhere, 1, 0}};

bctx_code Compile(const bctx_compile_request* request, bctx_blob* blob, bctx_error* error) {
  if (request->partition->attention == nullptr) {
    return Fail(error, BCTX_UNSUPPORTED, "no attention was recognised");
  }
  auto* made = new TinyBlob{};
  std::memcpy(made->magic, kMagic, sizeof(kMagic));
  made->attention = *request->partition->attention;
  blob->bytes = {reinterpret_cast<const uint8_t*>(made), sizeof(*made)};
  blob->entry = "tiny";
  const bool nowhere = std::string(request->target) == "tiny-nowhere";
  blob->requirements = nowhere ? kNone : kAny;
  blob->requirement_count = 1;
  blob->options = nullptr;
  blob->option_count = 0;
  blob->weights = BCTX_WEIGHTS_NONE;
  blob->plugin = made;
  return BCTX_OK;
}

void ReleaseBlob(bctx_blob* blob) { delete static_cast<TinyBlob*>(blob->plugin); }

bctx_code Load(const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
  if (request->blob.size != sizeof(TinyBlob) ||
      std::memcmp(request->blob.data, kMagic, sizeof(kMagic)) != 0) {
    return Fail(error, BCTX_MALFORMED, "the blob is not tiny");
  }
  auto* copy = new TinyBlob;
  std::memcpy(copy, request->blob.data, sizeof(*copy));
  *kernel = reinterpret_cast<bctx_kernel*>(copy);
  return BCTX_OK;
}

void Unload(bctx_kernel* kernel) { delete reinterpret_cast<TinyBlob*>(kernel); }

bctx_code Run(bctx_kernel*, bctx_run*, bctx_error* error) {
  return Fail(error, BCTX_UNSUPPORTED, "the tiny backend only compiles");
}

const char* const kTargets[] = {"tiny", "tiny-nowhere", nullptr};
const char* const kOptions[] = {nullptr};

const bctx_plugin kPlugin = [] {
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "tiny";
  table.version = "1";
  table.targets = kTargets;
  table.option_keys = kOptions;
  table.compile = &Compile;
  table.release_blob = &ReleaseBlob;
  table.load = &Load;
  table.run = &Run;
  table.unload = &Unload;
  return table;
}();

}  // namespace

const bctx_plugin* TinyBackend() { return &kPlugin; }

}  // namespace backendctx::tests
