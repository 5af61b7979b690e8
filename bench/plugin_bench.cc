// What the plug-in interface itself costs: `bench_plugin [--json]`. Nanoseconds of one call, the
// smallest of several rounds, for a kernel that does nothing but ask for its output, called through
// the table and as the runtime calls it; for the smallest runs of real backends; and of loading.
#include <backendctx/plugin_abi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "conformance/cases.h"
#include "conformance/checks.h"
#include "plugin/plugin.h"

extern "C" const bctx_plugin* reference_plugin(void);

struct bctx_kernel {};

namespace backendctx::bench {
namespace {

bool is_json = false;

double NanosecondsOf(size_t calls, const std::function<void()>& call) {
  double best = 1e18;
  for (int round = 0; round < 15; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < calls; ++i) call();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / static_cast<double>(calls));
  }
  return best;
}

void Print(const char* what, double nanoseconds) {
  std::printf(is_json ? "{\"call\":\"%s\",\"ns\":%.1f}\n" : "%-44s %10.1f ns\n", what, nanoseconds);
}

// Asks for one output of one element, and that is all.
const bctx_plugin* EmptyPlugin() {
  static bctx_kernel kernel;
  static const char* const none[] = {nullptr};
  static const bctx_plugin table = [] {
    bctx_plugin made{};
    made.struct_size = sizeof(made);
    made.abi_version = BCTX_PLUGIN_ABI_VERSION;
    made.backend = "empty";
    made.version = "1";
    made.targets = made.option_keys = none;
    made.load = [](const bctx_load_request*, bctx_kernel** to, bctx_error*) {
      *to = &kernel;
      return BCTX_OK;
    };
    made.run = [](bctx_kernel*, bctx_run* run, bctx_error*) {
      const int64_t dims[] = {1};
      return run->output(run, 0, dims, 1) == nullptr ? BCTX_INTERNAL : BCTX_OK;
    };
    made.unload = [](bctx_kernel*) {};
    return made;
  }();
  return &table;
}

struct Call {
  float memory[4096];
  std::vector<bctx_tensor> inputs;
  bctx_run run{};
};

void Prepare(std::vector<conformance::Tensor>* operands, Call* call) {
  for (conformance::Tensor& operand : *operands) {
    call->inputs.push_back({operand.data.data(), operand.dims.data(),
                            static_cast<int32_t>(operand.dims.size()), conformance::kFloat});
  }
  call->run.struct_size = sizeof(call->run);
  call->run.inputs = call->inputs.data();
  call->run.input_count = call->inputs.size();
  call->run.output_count = 1;
  call->run.output = [](bctx_run* run, size_t, const int64_t*, int32_t) { return run->host; };
  call->run.threads = 1;
  call->run.host = call->memory;
}

void Require(bool is_so, const char* what) {
  if (is_so) return;
  std::fprintf(stderr, "bench_plugin: %s\n", what);
  std::exit(1);
}

void BenchEmpty() {
  static Call call;
  std::vector<conformance::Tensor> none;
  Prepare(&none, &call);
  bctx_error error{};
  error.struct_size = sizeof(error);
  const bctx_plugin* table = EmptyPlugin();
  bctx_kernel kernel;
  Print("empty run, through the table", NanosecondsOf(100000, [&] {
          Require(table->run(&kernel, &call.run, &error) == BCTX_OK, "the empty run failed");
        }));
  const auto plugin = plugin::Plugin::FromTable(table);
  Require(static_cast<bool>(plugin), "the empty table was refused");
  const auto loaded = plugin::Kernel::Load(*plugin, {});
  Require(static_cast<bool>(loaded), "the empty kernel was not loaded");
  Print("empty run, as the runtime calls it",
        NanosecondsOf(100000, [&] { (void)loaded->Run(&call.run); }));
}

// The first shape of each case is its smallest.
void BenchSmallest(const conformance::Backend& backend, const std::string& target,
                   const std::string& name) {
  for (const conformance::Model& model : conformance::Cases()) {
    if (model.name != name) continue;
    const conformance::Host host(model);
    const conformance::Blob blob = conformance::Compile(backend, host, target);
    Require(blob.code == BCTX_OK, blob.error.message);
    const conformance::Kernel kernel(backend, host, blob);
    if (kernel.code == BCTX_INCOMPATIBLE) return;
    Require(kernel.code == BCTX_OK, kernel.error.error.message);
    std::vector<conformance::Tensor> operands = host.Operands(conformance::RandomInputs(model, 0));
    Call call;
    Prepare(&operands, &call);
    const std::string title = std::string(backend.Any().backend) + ", " + target + ", " + name;
    Print((title + ": load").c_str(),
          NanosecondsOf(200, [&] { conformance::Kernel(backend, host, blob); }));
    Print((title + ": run").c_str(), NanosecondsOf(5000, [&] {
            Require(backend.driver->run(kernel.get(), &call.run, nullptr) == BCTX_OK,
                    "a run failed");
          }));
  }
}

int Main(int argc, char** argv) {
  is_json = argc == 2 && std::strcmp(argv[1], "--json") == 0;
  if (argc > 1 && !is_json) {
    std::fprintf(stderr, "usage: bench_plugin [--json]\n");
    return 2;
  }
  BenchEmpty();
  const conformance::Backend reference{reference_plugin(), reference_plugin()};
  BenchSmallest(reference, "reference", "single-Identity");
  BenchSmallest(reference, "reference", "attention");
#ifdef BCTX_COMPILER_PLUGIN
  const conformance::Backend attention =
      conformance::LoadBackend({BCTX_COMPILER_PLUGIN, BCTX_DRIVER_PLUGIN});
  for (const char* target : {"x86-64-v3", "x86-64-v4", "aarch64"}) {
    BenchSmallest(attention, target, "attention");
  }
#endif
  return 0;
}

}  // namespace
}  // namespace backendctx::bench

int main(int argc, char** argv) { return backendctx::bench::Main(argc, argv); }
