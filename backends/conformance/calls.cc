#include "conformance/calls.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace backendctx::conformance {
namespace {

constexpr size_t kGuard = 256;
constexpr float kGuardValue = -12345.5F;
constexpr double kTolerance = 5e-5;  // what the proofs of packages allow

std::vector<bctx_key_value> Pairs(const Options& options) {
  std::vector<bctx_key_value> pairs;
  for (const auto& [key, value] : options) pairs.push_back({key.c_str(), value.c_str()});
  return pairs;
}

// The host's side of one run.
struct RunHost {
  Parallel parallel;
  bool has_memory;
  std::vector<std::vector<float>> memory;  // guard, data, guard
  std::vector<Dims> dims;
};

void* GiveOutput(bctx_run* run, size_t index, const int64_t* dims, int32_t rank) {
  auto* host = static_cast<RunHost*>(run->host);
  if (!host->has_memory || index >= host->memory.size() || rank < 0) return nullptr;
  host->dims[index].assign(dims, dims + rank);
  const auto size = static_cast<size_t>(Elements(host->dims[index]));
  host->memory[index].assign(size + 2 * kGuard, kGuardValue);
  return host->memory[index].data() + kGuard;
}

void RunParallel(bctx_run* run, size_t count, void (*work)(void*, size_t), void* argument) {
  if (static_cast<RunHost*>(run->host)->parallel == Parallel::kBackwards) {
    for (size_t i = count; i-- > 0;) work(argument, i);
    return;
  }
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work, argument, i);
  if (count != 0) work(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

void TakeOutputs(const RunHost& host, Run* run) {
  for (size_t i = 0; i < host.memory.size(); ++i) {
    const std::vector<float>& memory = host.memory[i];
    if (memory.empty()) {
      if (run->code == BCTX_OK) run->wrong = "it asked for no memory for an output";
      continue;
    }
    const auto is_guard = [](float value) { return value == kGuardValue; };
    if (!std::all_of(memory.begin(), memory.begin() + kGuard, is_guard) ||
        !std::all_of(memory.end() - kGuard, memory.end(), is_guard)) {
      run->wrong = "it wrote outside of output " + std::to_string(i);
    }
    run->outputs.push_back({host.dims[i], {memory.begin() + kGuard, memory.end() - kGuard}});
  }
}

}  // namespace

bctx_plugin KnownTable(const bctx_plugin* table) {
  if (table == nullptr) throw std::runtime_error("bctx_plugin_query gave no table");
  if (table->struct_size < offsetof(bctx_plugin, backend)) {
    throw std::runtime_error("the table has an impossible struct_size");
  }
  if (table->abi_version != BCTX_PLUGIN_ABI_VERSION) {
    throw std::runtime_error("the table has abi_version " + std::to_string(table->abi_version));
  }
  bctx_plugin known{};
  std::memcpy(&known, table, std::min<size_t>(table->struct_size, sizeof(known)));
  if (known.backend == nullptr || known.version == nullptr) {
    throw std::runtime_error("the table has no name or no version");
  }
  if (known.compile == nullptr && known.load == nullptr) {
    throw std::runtime_error("the table has neither compile nor load");
  }
  return known;
}

Backend LoadBackend(const std::vector<std::string>& files) {
  Backend backend;
  for (const std::string& file : files) {
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    const auto query = reinterpret_cast<bctx_plugin_query_fn>(dlsym(library, "bctx_plugin_query"));
    if (query == nullptr) throw std::runtime_error(file + ": exports no bctx_plugin_query");
    // For the rest of the process: kernels of other tests may still be there.
    auto* table = new bctx_plugin(KnownTable(query(BCTX_PLUGIN_ABI_VERSION)));
    const bctx_plugin* older = query(0);
    if (older != nullptr && older->abi_version != 0) {
      throw std::runtime_error(file + ": gives a host of version 0 a newer table");
    }
    if (table->compile != nullptr && backend.compiler == nullptr) backend.compiler = table;
    if (table->load != nullptr && backend.driver == nullptr) backend.driver = table;
    if (std::strcmp(table->backend, backend.Any().backend) != 0) {
      throw std::runtime_error(file + ": is of backend " + table->backend + ", the others of " +
                               backend.Any().backend);
    }
  }
  if (backend.compiler == nullptr && backend.driver == nullptr) {
    throw std::runtime_error("no plug-in was named");
  }
  return backend;
}

std::vector<std::string> ListOf(const char* const* list) {
  std::vector<std::string> names;
  for (; list != nullptr && *list != nullptr; ++list) names.emplace_back(*list);
  return names;
}

Blob Compile(const Backend& backend, const Host& host, const std::string& target,
             const Options& options) {
  const std::vector<bctx_key_value> pairs = Pairs(options);
  bctx_compile_request request{};
  request.struct_size = sizeof(request);
  request.partition = &host.partition();
  request.target = target.c_str();
  request.options = pairs.data();
  request.option_count = pairs.size();
  bctx_blob made{};
  made.struct_size = sizeof(made);
  ErrorBuffer error;
  Blob blob;
  blob.code = backend.compiler->compile(&request, &made, error.get());
  blob.error = error.error;
  if (blob.code != BCTX_OK) return blob;
  blob.bytes.assign(reinterpret_cast<const char*>(made.bytes.data), made.bytes.size);
  if (made.entry != nullptr) blob.entry = made.entry;
  if (made.label != nullptr) blob.label = made.label;
  if (made.note != nullptr) blob.note = made.note;
  for (size_t i = 0; i < made.option_count; ++i) {
    blob.options.emplace_back(made.options[i].key, made.options[i].value);
  }
  blob.weights = made.weights;
  backend.compiler->release_blob(&made);
  return blob;
}

bool TakesAll(const Backend& backend, const Host& host, std::string* reason) {
  const bctx_plugin* table = backend.With(&bctx_plugin::offer);
  if (table == nullptr) {
    *reason = "it takes recognised attention only";
    return host.model().attention.has_value();
  }
  bctx_offer_request request{};
  request.struct_size = sizeof(request);
  request.graph = &host.graph();
  bctx_offer offer{};
  offer.struct_size = sizeof(offer);
  ErrorBuffer error;
  if (table->offer(&request, &offer, error.get()) != BCTX_OK) {
    *reason = error.error.message;
    return false;
  }
  size_t claimed = 0;
  for (size_t i = 0; i < offer.claim_count; ++i) claimed += offer.claims[i].node_count;
  const bool is_one = offer.claim_count == 1 ||
                      std::none_of(offer.claims, offer.claims + offer.claim_count,
                                   [](const bctx_claim& claim) { return claim.whole != 0; });
  *reason = std::to_string(claimed) + " of " + std::to_string(host.graph().node_count) + " nodes";
  if (offer.refusal_count != 0 && offer.refusals[0].reason != nullptr) {
    *reason += std::string("; ") + offer.refusals[0].reason;
  }
  table->release_offer(&offer);
  return is_one && claimed == host.graph().node_count;
}

Kernel::Kernel(const Backend& backend, const Host& host, const Blob& blob, size_t threads)
    : driver_(*backend.driver), bytes_(blob.bytes) {
  const std::vector<bctx_key_value> pairs = Pairs(blob.options);
  const bool binds = blob.weights == BCTX_WEIGHTS_REFIT || blob.weights == BCTX_WEIGHTS_OFFSET;
  std::vector<bctx_bound_weight> weights;
  std::string file;
  if (binds) {
    weights = host.BoundWeights();
    file = host.WeightFile();
    // A blob that points at weights reads them from the file.
    if (blob.weights == BCTX_WEIGHTS_OFFSET) {
      for (bctx_bound_weight& weight : weights) weight.data = nullptr;
    }
  }
  bctx_load_request request{};
  request.struct_size = sizeof(request);
  request.blob = {reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()};
  request.entry = blob.entry.c_str();
  request.options = pairs.data();
  request.option_count = pairs.size();
  request.weights = weights.data();
  request.weight_count = weights.size();
  request.weight_file = binds ? file.c_str() : nullptr;
  request.threads = threads;
  request.input_count = host.partition().input_count;
  request.output_count = host.partition().output_count;
  code = driver_.load(&request, &kernel_, error.get());
  if (code != BCTX_OK) kernel_ = nullptr;
}

Kernel::~Kernel() {
  if (kernel_ != nullptr) driver_.unload(kernel_);
}

std::unique_ptr<Run> RunKernel(const Backend& backend, const Kernel& kernel, const Host& host,
                               const std::vector<Tensor>& inputs, const RunOptions& options) {
  std::vector<Tensor> operands = host.Operands(inputs);
  const std::vector<Tensor> before = operands;
  std::vector<bctx_tensor> tensors;
  for (Tensor& operand : operands) {
    tensors.push_back({operand.data.data(), operand.dims.data(),
                       static_cast<int32_t>(operand.dims.size()), options.element_type});
  }
  RunHost run_host{options.parallel, options.has_memory, {}, {}};
  run_host.memory.resize(host.partition().output_count);
  run_host.dims.resize(host.partition().output_count);
  bctx_run request{};
  request.struct_size = sizeof(request);
  request.inputs = tensors.data();
  request.input_count = tensors.size() - options.missing_inputs;
  request.output_count = host.partition().output_count;
  request.output = GiveOutput;
  request.parallel = RunParallel;
  request.threads = options.threads;
  request.host = &run_host;
  auto run = std::make_unique<Run>();
  run->code = backend.driver->run(kernel.get(), &request, run->error.get());
  TakeOutputs(run_host, run.get());
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].data != before[i].data) run->wrong = "it wrote into input " + std::to_string(i);
  }
  return run;
}

void ExpectRight(Report* report, const Model& model, const std::vector<Tensor>& inputs,
                 const Run& run) {
  ExpectCode(report, run.code, BCTX_OK, run.error.error);
  if (!run.wrong.empty()) report->Fail("%s", run.wrong.c_str());
  if (run.code != BCTX_OK || run.outputs.size() != model.outputs.size()) return;
  const std::map<std::string, Wide> values = Evaluate(model, inputs);
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    const Wide& right = values.at(model.outputs[i]);
    if (run.outputs[i].dims != right.dims) {
      report->Fail("output %zu has another shape than its graph gives", i);
      continue;
    }
    double scale = 0, worst = 0;
    for (const double value : right.data) scale = std::max(scale, std::abs(value));
    for (size_t j = 0; j < right.data.size(); ++j) {
      const double difference = std::abs(right.data[j] - run.outputs[i].data[j]);
      worst = difference <= worst ? worst : difference;  // a NaN stays
    }
    if (!(worst <= kTolerance * scale)) {
      report->Fail("output %zu differs by %.3g of %.3g, allowed is %.3g of it", i, worst, scale,
                   kTolerance);
    }
  }
}

}  // namespace backendctx::conformance
