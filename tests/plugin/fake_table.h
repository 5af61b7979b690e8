// A plug-in's table in the test program itself, behaviour set case by case.
#pragma once

#include <functional>
#include <vector>

#include "backendctx/plugin_abi.h"
#include "plugin/plugin.h"

struct bctx_kernel {};

namespace backendctx::plugin {

struct FakeBehaviour {
  std::function<bctx_code(bctx_blob*, bctx_error*)> compile;
  std::function<bctx_code(const bctx_load_request*, bctx_kernel**, bctx_error*)> load;
  std::function<bctx_code(bctx_run*, bctx_error*)> run;
  int released = 0, unloaded = 0;
};

inline FakeBehaviour fake;

inline bctx_plugin FakeTable() {
  static const char* const targets[] = {"any", nullptr};
  static const char* const keys[] = {"speed", nullptr};
  fake = {};
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "fake";
  table.version = "2";
  table.targets = targets;
  table.option_keys = keys;
  table.compile = [](const bctx_compile_request*, bctx_blob* blob, bctx_error* error) {
    return fake.compile(blob, error);
  };
  table.release_blob = [](bctx_blob*) { ++fake.released; };
  table.load = [](const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
    return fake.load(request, kernel, error);
  };
  table.run = [](bctx_kernel*, bctx_run* run, bctx_error* error) { return fake.run(run, error); };
  table.unload = [](bctx_kernel*) { ++fake.unloaded; };
  return table;
}

}  // namespace backendctx::plugin
