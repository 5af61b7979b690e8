#include <fmt/format.h>

#include "plugin/plugin.h"
#include "plugin/table.h"

namespace backendctx::plugin {

struct Kernel::State {
  explicit State(const Plugin& owner) : plugin(owner), table(owner.table()) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (kernel == nullptr) return;
    try {
      table.unload(kernel);
    } catch (...) {  // NOLINT: a destructor has nobody to tell
    }
  }

  Plugin plugin;  // its code must outlive the kernel
  const bctx_plugin& table;
  bctx_kernel* kernel = nullptr;
};

Result<Kernel> Kernel::Load(const Plugin& plugin, const LoadRequest& from) {
  if (!plugin.runs()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: is a compiler and does not run blobs", plugin.backend()));
  }
  std::vector<bctx_key_value> pairs;
  pairs.reserve(from.options.size());
  for (const manifest::KeyValue& option : from.options) {
    pairs.push_back({option.key.c_str(), option.value.c_str()});
  }
  bctx_load_request request{};
  request.struct_size = sizeof(request);
  request.blob = {from.private_blob.data(), from.private_blob.size()};
  request.entry = from.entry.c_str();
  request.options = pairs.data();
  request.option_count = pairs.size();
  request.weights = from.weights.data();
  request.weight_count = from.weights.size();
  request.weight_file = from.weight_file.empty() ? nullptr : from.weight_file.c_str();
  request.threads = from.threads;
  request.input_count = from.inputs;
  request.output_count = from.outputs;
  auto state = std::make_shared<State>(plugin);
  bctx_kernel* kernel = nullptr;
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "load", [&](bctx_error* error) {
    return state->table.load(&request, &kernel, error);
  }));
  if (kernel == nullptr) {
    return Status(StatusCode::kInternal,
                  fmt::format("{}: load: said ok and gave no kernel", plugin.backend()));
  }
  state->kernel = kernel;
  return Kernel(std::move(state));
}

Status Kernel::Run(bctx_run* run) const {
  return Guarded(state_->plugin.backend(), "run",
                 [&](bctx_error* error) { return state_->table.run(state_->kernel, run, error); });
}

}  // namespace backendctx::plugin
