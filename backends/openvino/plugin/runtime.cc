#include "plugin/runtime.h"

#include <dlfcn.h>

#include "plugin/neighbours.h"

namespace backendctx::openvino {
namespace {

constexpr char kLibrary[] = "bctx-openvino-runtime.so", kTable[] = "bctx_openvino_runtime";

struct Loaded {
  Outcome outcome;
  const bctx_plugin* table = nullptr;
};

// Never unloaded: OpenVINO's threads outlive its models.
Loaded Load() {
  const std::string path = Neighbour(kLibrary);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return {
        Unsupported(std::string("OpenVINO " BCTX_OPENVINO_RELEASE " is not there: ") + dlerror()),
        nullptr};
  }
  using Query = const bctx_plugin* (*)();
  const auto query = reinterpret_cast<Query>(dlsym(library, kTable));
  if (query == nullptr) return {Broken(path + ": has no " + kTable), nullptr};
  return {{}, query()};
}

}  // namespace

Outcome Runtime(const bctx_plugin** table) {
  static const Loaded loaded = Load();
  *table = loaded.table;
  return loaded.outcome;
}

}  // namespace backendctx::openvino
