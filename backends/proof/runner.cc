// The fresh process of a proof: `bctx-run PLUGIN REQUEST RESPONSE` loads a driver plug-in by path;
// built with a driver linked in (BCTX_RUN_LINKED_DRIVER) it is `bctx-run REQUEST RESPONSE`.
// proof_file.h says what the files hold. Exit code 0: the response is written. 1: stderr says why
// in one line. 2: usage. 3: the blob is not for this machine.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#ifdef BCTX_RUN_LINKED_DRIVER
#include "driver/driver.h"
#else
#include <dlfcn.h>
#endif

#include <backendctx/plugin_abi.h>

#include "proof/proof_file.h"

namespace backendctx::proof {
namespace {

// Guard bytes before and behind each output, to catch a kernel that writes outside of it.
constexpr size_t kGuard = 4096;
constexpr uint8_t kGuardByte = 0xa5;

[[noreturn]] void Die(int code, const std::string& message) {
  std::fprintf(stderr, "bctx-run: %s\n", message.c_str());
  std::exit(code);
}

struct CaseHost {
  const Request* request;
  std::vector<Tensor>* outputs;
};

void* GiveOutput(bctx_run* run, size_t index, const int64_t* dims, int32_t rank) {
  auto* host = static_cast<CaseHost*>(run->host);
  if (index >= host->outputs->size() || rank < 0) return nullptr;
  Tensor& tensor = (*host->outputs)[index];
  tensor.element_type = host->request->output_types[index];
  tensor.dims.assign(dims, dims + rank);
  const auto bytes = TensorBytes(tensor.element_type, dims, static_cast<size_t>(rank));
  if (!bytes || *bytes > (uint64_t{1} << 40)) return nullptr;
  tensor.data.assign(static_cast<size_t>(*bytes) + 2 * kGuard, kGuardByte);
  return tensor.data.data() + kGuard;
}

void Parallel(bctx_run*, size_t count, void (*work)(void*, size_t), void* argument) {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work, argument, i);
  work(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

void CheckGuards(std::vector<Tensor>* outputs, size_t number) {
  for (Tensor& tensor : *outputs) {
    if (tensor.data.size() < kGuard) {
      Die(1, "case " + std::to_string(number) + ": the backend asked for no output memory");
    }
    for (size_t i = 0; i < kGuard; ++i) {
      if (tensor.data[i] != kGuardByte) {
        Die(1, "case " + std::to_string(number) + ": the backend wrote before its output");
      }
      if (tensor.data[tensor.data.size() - 1 - i] != kGuardByte) {
        Die(1, "case " + std::to_string(number) + ": the backend wrote past its output");
      }
    }
    tensor.data.resize(tensor.data.size() - kGuard);
    tensor.data.erase(tensor.data.begin(), tensor.data.begin() + kGuard);
  }
}

std::vector<Tensor> RunCase(const bctx_plugin& plugin, bctx_kernel* kernel, const Request& request,
                            size_t number) {
  std::vector<bctx_tensor> inputs;
  for (const Tensor& tensor : request.cases[number]) {
    inputs.push_back({const_cast<uint8_t*>(tensor.data.data()), tensor.dims.data(),
                      static_cast<int32_t>(tensor.dims.size()), tensor.element_type});
  }
  std::vector<Tensor> outputs(request.output_types.size());
  CaseHost host{&request, &outputs};
  bctx_run run{};
  run.struct_size = sizeof(run);
  run.inputs = inputs.data();
  run.input_count = inputs.size();
  run.output_count = outputs.size();
  run.output = GiveOutput;
  run.parallel = Parallel;
  run.threads = request.threads == 0 ? 1 : request.threads;
  run.host = &host;
  bctx_error error{};
  error.struct_size = sizeof(error);
  if (plugin.run(kernel, &run, &error) != BCTX_OK) {
    Die(1, "case " + std::to_string(number) + ": " + error.message);
  }
  CheckGuards(&outputs, number);
  return outputs;
}

std::vector<uint8_t> ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die(1, "cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The table's file is laid out as the table, so that places in one are places in the other.
std::vector<bctx_bound_weight> Bind(const Request& request, const std::vector<uint8_t>& table) {
  std::vector<bctx_bound_weight> weights;
  for (const auto& [offset, size] : request.weights) {
    if (offset > table.size() || size > table.size() - offset) Die(1, "the weight table is short");
    weights.push_back({offset, size, table.data() + offset, offset});
  }
  return weights;
}

// `table` must outlive the kernel.
bctx_kernel* Load(const bctx_plugin& plugin, const Request& request,
                  const std::vector<uint8_t>& table) {
  std::vector<bctx_key_value> options;
  for (const auto& [key, value] : request.options) options.push_back({key.c_str(), value.c_str()});
  const std::vector<bctx_bound_weight> weights = Bind(request, table);
  bctx_load_request load{};
  load.struct_size = sizeof(load);
  load.blob = {request.blob.data(), request.blob.size()};
  load.entry = request.entry.c_str();
  load.options = options.data();
  load.option_count = options.size();
  load.weights = weights.data();
  load.weight_count = weights.size();
  load.weight_file = request.weight_file.empty() ? nullptr : request.weight_file.c_str();
  load.threads = request.threads == 0 ? 1 : request.threads;
  load.input_count = request.cases.empty() ? 0 : request.cases.front().size();
  load.output_count = request.output_types.size();
  bctx_error error{};
  error.struct_size = sizeof(error);
  bctx_kernel* kernel = nullptr;
  const bctx_code code = plugin.load(&load, &kernel, &error);
  if (code != BCTX_OK) Die(code == BCTX_INCOMPATIBLE ? 3 : 1, error.message);
  return kernel;
}

const bctx_plugin* Query([[maybe_unused]] char** argv) {
#ifdef BCTX_RUN_LINKED_DRIVER
  return cpu_attention::DriverPlugin();
#else
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) Die(1, dlerror());
  const auto query = reinterpret_cast<bctx_plugin_query_fn>(dlsym(library, "bctx_plugin_query"));
  return query == nullptr ? nullptr : query(BCTX_PLUGIN_ABI_VERSION);
#endif
}

Request ReadRequest(const char* path) {
  const std::vector<uint8_t> bytes = ReadAll(path);
  auto request = DecodeRequest(bytes.data(), bytes.size());
  if (!request) Die(1, std::string(path) + " is no proof request");
  return std::move(*request);
}

// An older plug-in's table ends earlier; what running takes was there from the beginning.
bool Runs(const bctx_plugin* plugin) {
  return plugin != nullptr && plugin->struct_size >= offsetof(bctx_plugin, flags) &&
         plugin->load != nullptr;
}

int Main(int argc, char** argv) {
#ifdef BCTX_RUN_LINKED_DRIVER
  constexpr int kPaths = 1;
#else
  constexpr int kPaths = 2;
#endif
  if (argc != kPaths + 2) {
    std::fprintf(stderr, "usage: bctx-run %sREQUEST RESPONSE\n", kPaths == 2 ? "PLUGIN " : "");
    return 2;
  }
  const bctx_plugin* plugin = Query(argv);
  if (!Runs(plugin)) {
    Die(1, "the plug-in has no driver of this version");
  }
  const Request request = ReadRequest(argv[kPaths]);
  const std::vector<uint8_t> table =
      request.weight_file.empty() ? std::vector<uint8_t>() : ReadAll(request.weight_file);
  bctx_kernel* kernel = Load(*plugin, request, table);
  Response response;
  for (size_t i = 0; i < request.cases.size(); ++i) {
    response.cases.push_back(RunCase(*plugin, kernel, request, i));
  }
  plugin->unload(kernel);
  const std::vector<uint8_t> bytes = Encode(response);
  std::ofstream file(argv[kPaths + 1], std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) Die(1, std::string("cannot write ") + argv[kPaths + 1]);
  return 0;
}

}  // namespace
}  // namespace backendctx::proof

int main(int argc, char** argv) {
  try {
    return backendctx::proof::Main(argc, argv);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "bctx-run: %s\n", exception.what());
    return 1;
  }
}
