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
  std::function<bctx_code(const bctx_offer_request*, bctx_offer*, bctx_error*)> offer;
  std::function<bctx_code(bctx_sink*, bctx_error*)> say;  // label and facts
  std::function<bctx_code(const char*, bctx_judgement*, bctx_error*)> judge;
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
  table.offer = [](const bctx_offer_request* request, bctx_offer* offer, bctx_error* error) {
    return fake.offer(request, offer, error);
  };
  table.release_offer = [](bctx_offer*) { ++fake.released; };
  table.label = [](const bctx_bytes*, bctx_sink* sink, bctx_error* error) {
    return fake.say ? fake.say(sink, error) : BCTX_OK;
  };
  table.facts = [](bctx_sink* sink, bctx_error* error) { return fake.say(sink, error); };
  table.judge = [](const char* label, bctx_judgement* judgement, bctx_error* error) {
    return fake.judge(label, judgement, error);
  };
  return table;
}

}  // namespace backendctx::plugin
