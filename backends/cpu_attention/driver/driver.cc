// The plug-in's edge: load, run, unload. No exception leaves.
#include "driver/driver.h"

#include <backendctx/plugin_abi.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>

#include "driver/cpu_features.h"
#include "driver/run.h"

namespace backendctx::cpu_attention {
namespace {

constexpr const char* kTargetNames[] = {"x86-64-v3", "x86-64-v4", "aarch64", nullptr};
constexpr const char* kNoOptions[] = {nullptr};

uint64_t PageBytes() {
  const long page = sysconf(_SC_PAGESIZE);
  return page > 0 ? static_cast<uint64_t>(page) : kMinPage;
}

Outcome Load(const bctx_load_request& request, Kernel** out) {
  if (request.struct_size < sizeof(bctx_load_request) || request.entry == nullptr ||
      (request.blob.data == nullptr && request.blob.size != 0)) {
    return Invalid("the load request is shorter than this plug-in expects");
  }
  const uint64_t page = PageBytes();
  ElfImage image;
  BCTX_RETURN_UNLESS_OK(
      ParseElf(request.blob.data, request.blob.size, request.entry, page, &image));
  BCTX_RETURN_UNLESS_OK(CheckMachine(image.machine, static_cast<Isa>(image.table.isa)));
  auto kernel = std::make_unique<Kernel>(image.table);
  BCTX_RETURN_UNLESS_OK(MappedCode::Map(request.blob.data, image, page, &kernel->code));
  *out = kernel.release();
  return {};
}

bctx_code Report(const Outcome& outcome, bctx_error* error) {
  if (!outcome.ok() && error != nullptr && error->struct_size >= sizeof(bctx_error)) {
    std::snprintf(error->message, sizeof(error->message), "%s", outcome.message.c_str());
  }
  return outcome.code;
}

bctx_code LoadEdge(const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
  try {
    if (request == nullptr || kernel == nullptr) {
      return Report(Invalid("no request or no place for the kernel"), error);
    }
    return Report(Load(*request, reinterpret_cast<Kernel**>(kernel)), error);
  } catch (const std::exception& exception) {
    return Report({BCTX_INTERNAL, exception.what()}, error);
  }
}

bctx_code RunEdge(bctx_kernel* kernel, bctx_run* run, bctx_error* error) {
  try {
    if (kernel == nullptr || run == nullptr || run->struct_size < sizeof(bctx_run) ||
        run->output == nullptr || (run->inputs == nullptr && run->input_count != 0)) {
      return Report(Invalid("the run request is shorter than this plug-in expects"), error);
    }
    return Report(Run(*reinterpret_cast<Kernel*>(kernel), run), error);
  } catch (const std::exception& exception) {
    return Report({BCTX_INTERNAL, exception.what()}, error);
  }
}

void Unload(bctx_kernel* kernel) { delete reinterpret_cast<Kernel*>(kernel); }

const bctx_plugin kPlugin = [] {
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "cpu-attention";
  table.version = BCTX_CPU_ATTENTION_VERSION;
  table.targets = kTargetNames;
  table.option_keys = kNoOptions;
  table.load = LoadEdge;
  table.run = RunEdge;
  table.unload = Unload;
  table.flags = BCTX_PLUGIN_REPRODUCIBLE;
  return table;
}();

}  // namespace

const bctx_plugin* DriverPlugin() { return &kPlugin; }

}  // namespace backendctx::cpu_attention
