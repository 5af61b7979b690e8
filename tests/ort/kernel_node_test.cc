// What a kernel sees of a run, over a stand-in for ONNX Runtime that can do what the real one
// rarely does: leave inputs out, fail, give ranks and counts beyond the inline room.
#include "provider/kernel_node.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <optional>

namespace backendctx::ort {
namespace {

struct FakeTensor {
  std::vector<int64_t> dims;
  std::vector<float> data;
};

// The one run that is under way; the C functions of the stand-in reach it here.
struct FakeRun {
  std::vector<std::optional<FakeTensor>> inputs;
  std::vector<FakeTensor> outputs;
  int live_infos = 0, live_statuses = 0;
  size_t parallel_calls = 0;
  std::string fail_in;  // name of the function that fails
};
FakeRun fake;

OrtStatus* MakeStatus(OrtErrorCode, const char* text) noexcept {
  ++fake.live_statuses;
  return reinterpret_cast<OrtStatus*>(new std::string(text));
}

OrtStatus* FailIf(const char* function) {
  return fake.fail_in == function ? MakeStatus(ORT_FAIL, function) : nullptr;
}

OrtApi FakeApi() {
  OrtApi api{};
  api.CreateStatus = MakeStatus;
  api.ReleaseStatus = [](OrtStatus* status) noexcept {
    --fake.live_statuses;
    delete reinterpret_cast<std::string*>(status);
  };
  api.KernelContext_GetInput = [](const OrtKernelContext*, size_t i,
                                  const OrtValue** value) noexcept -> OrtStatus* {
    auto& input = fake.inputs.at(i);
    *value = input ? reinterpret_cast<const OrtValue*>(&*input) : nullptr;
    return FailIf("input");
  };
  api.GetTensorTypeAndShape = [](const OrtValue* value,
                                 OrtTensorTypeAndShapeInfo** info) noexcept -> OrtStatus* {
    if (OrtStatus* status = FailIf("shape")) return status;
    ++fake.live_infos;
    *info = reinterpret_cast<OrtTensorTypeAndShapeInfo*>(const_cast<OrtValue*>(value));
    return nullptr;
  };
  api.ReleaseTensorTypeAndShapeInfo = [](OrtTensorTypeAndShapeInfo*) noexcept {
    --fake.live_infos;
  };
  api.GetTensorElementType = [](const OrtTensorTypeAndShapeInfo*,
                                ONNXTensorElementDataType* type) noexcept -> OrtStatus* {
    *type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    return nullptr;
  };
  api.GetDimensionsCount = [](const OrtTensorTypeAndShapeInfo* info,
                              size_t* rank) noexcept -> OrtStatus* {
    *rank = reinterpret_cast<const FakeTensor*>(info)->dims.size();
    return nullptr;
  };
  api.GetDimensions = [](const OrtTensorTypeAndShapeInfo* info, int64_t* dims,
                         size_t) noexcept -> OrtStatus* {
    const auto& found = reinterpret_cast<const FakeTensor*>(info)->dims;
    std::copy(found.begin(), found.end(), dims);
    return FailIf("dims");
  };
  api.GetTensorData = [](const OrtValue* value, const void** data) noexcept -> OrtStatus* {
    *data = reinterpret_cast<const FakeTensor*>(value)->data.data();
    return nullptr;
  };
  api.KernelContext_GetOutput = [](OrtKernelContext*, size_t i, const int64_t* dims, size_t rank,
                                   OrtValue** value) noexcept -> OrtStatus* {
    FakeTensor& output = fake.outputs.at(i);
    output.dims.assign(dims, dims + rank);
    size_t count = 1;
    for (const int64_t dim : output.dims) count *= static_cast<size_t>(dim);
    output.data.resize(count);
    *value = reinterpret_cast<OrtValue*>(&output);
    return FailIf("output");
  };
  api.GetTensorMutableData = [](OrtValue* value, void** data) noexcept -> OrtStatus* {
    *data = reinterpret_cast<FakeTensor*>(value)->data.data();
    return nullptr;
  };
  api.KernelContext_ParallelFor = [](const OrtKernelContext*, void (*work)(void*, size_t),
                                     size_t total, size_t, void* data) noexcept -> OrtStatus* {
    ++fake.parallel_calls;
    for (size_t i = 0; i < total; ++i) work(data, i);
    return FailIf("parallel");
  };
  return api;
}

std::function<bctx_code(bctx_run*, bctx_error*)> kernel_body;

plugin::Kernel MakeKernel() {
  static int anything;
  static bctx_plugin table = [] {
    bctx_plugin made{};
    made.struct_size = sizeof(made);
    made.abi_version = BCTX_PLUGIN_ABI_VERSION;
    made.backend = "fake";
    made.version = "1";
    made.load = [](const bctx_load_request*, bctx_kernel** kernel, bctx_error*) {
      *kernel = reinterpret_cast<bctx_kernel*>(&anything);
      return BCTX_OK;
    };
    made.run = [](bctx_kernel*, bctx_run* run, bctx_error* error) {
      return kernel_body(run, error);
    };
    made.unload = [](bctx_kernel*) {};
    return made;
  }();
  const Result<plugin::Plugin> plugin = plugin::Plugin::FromTable(&table);
  REQUIRE(plugin);
  Result<plugin::Kernel> kernel = plugin::Kernel::Load(*plugin, plugin::LoadRequest{});
  REQUIRE(kernel);
  return *kernel;
}

// Runs `body` over `fake`; the error's text, or "" when there is none. Nothing may be left over.
std::string RunWith(const PortMap& ports, std::function<bctx_code(bctx_run*, bctx_error*)> body) {
  static const OrtApi api = FakeApi();
  kernel_body = std::move(body);
  KernelNode node(api, "call", MakeKernel(), ports, [] {});
  OrtStatus* const status = node.OrtNodeComputeInfo::Compute(&node, nullptr, nullptr);
  const std::string text = status != nullptr ? *reinterpret_cast<std::string*>(status) : "";
  if (status != nullptr) api.ReleaseStatus(status);
  CHECK(fake.live_infos == 0);
  CHECK(fake.live_statuses == 0);
  return text;
}

FakeTensor Filled(std::vector<int64_t> dims, float first) {
  FakeTensor tensor{std::move(dims), {}};
  size_t count = 1;
  for (const int64_t dim : tensor.dims) count *= static_cast<size_t>(dim);
  for (size_t i = 0; i < count; ++i) tensor.data.push_back(first + static_cast<float>(i));
  return tensor;
}

TEST_CASE("a kernel gets its operands in the call's order and writes the runtime's memory",
          "[ort]") {
  fake = {};
  fake.inputs = {Filled({2, 3}, 10), Filled({4}, 20)};
  fake.outputs.resize(1);
  // The call has operand 1 first, one absent, operand 0 twice.
  const std::string error = RunWith({{1, -1, 0, 0}, {0}, {1}}, [](bctx_run* run, bctx_error*) {
    CHECK(run->struct_size == sizeof(bctx_run));
    CHECK(run->input_count == 4);
    CHECK(run->output_count == 1);
    CHECK(run->threads >= 1);
    CHECK(run->inputs[0].rank == 1);
    CHECK(run->inputs[0].dims[0] == 4);
    CHECK(static_cast<const float*>(run->inputs[0].data)[3] == 23);
    CHECK(run->inputs[1].data == nullptr);
    CHECK(run->inputs[2].rank == 2);
    CHECK(run->inputs[2].dims[1] == 3);
    CHECK(run->inputs[2].element_type == 1);
    CHECK(run->inputs[3].data == run->inputs[2].data);
    const int64_t dims[] = {2, 2};
    auto* const out = static_cast<float*>(run->output(run, 0, dims, 2));
    std::fill(out, out + 4, 7.0f);
    return BCTX_OK;
  });
  CHECK(error == "");
  CHECK(fake.outputs[0].dims == std::vector<int64_t>{2, 2});
  CHECK(fake.outputs[0].data == std::vector<float>(4, 7.0f));
}

TEST_CASE("an optional input that a run does not give is null", "[ort]") {
  fake = {};
  fake.inputs = {std::nullopt};
  CHECK(RunWith({{0}, {}, {}}, [](bctx_run* run, bctx_error*) {
          CHECK(run->inputs[0].data == nullptr);
          CHECK(run->inputs[0].dims == nullptr);
          return BCTX_OK;
        }) == "");
}

TEST_CASE("more operands and dimensions than usual are all there", "[ort]") {
  fake = {};
  PortMap ports;
  for (int i = 0; i < 40; ++i) {
    std::vector<int64_t> dims(i == 20 ? 12 : 2, 1);
    dims.back() = i + 1;
    fake.inputs.push_back(Filled(dims, static_cast<float>(i)));
    ports.inputs.push_back(i);
  }
  CHECK(RunWith(ports, [](bctx_run* run, bctx_error*) {
          for (size_t i = 0; i < run->input_count; ++i) {
            const bctx_tensor& tensor = run->inputs[i];
            CHECK(tensor.rank == (i == 20 ? 12 : 2));
            CHECK(tensor.dims[tensor.rank - 1] == static_cast<int64_t>(i) + 1);
            CHECK(*static_cast<const float*>(tensor.data) == static_cast<float>(i));
          }
          return BCTX_OK;
        }) == "");
}

TEST_CASE("an output that nobody reads has memory of its own", "[ort]") {
  fake = {};
  fake.outputs.resize(1);
  CHECK(RunWith({{}, {-1, 0}, {7, 1}}, [](bctx_run* run, bctx_error*) {
          const int64_t dims[] = {1000};
          auto* const unread = static_cast<int64_t*>(run->output(run, 0, dims, 1));
          std::fill(unread, unread + 1000, 5);
          const int64_t none[] = {0};
          CHECK(run->output(run, 1, none, 1) != nullptr);
          CHECK(run->output(run, 2, none, 1) == nullptr);
          const int64_t wraps[] = {int64_t{1} << 62, 4};
          CHECK(run->output(run, 0, wraps, 2) == nullptr);
          const int64_t negative[] = {-1};
          CHECK(run->output(run, 0, negative, 1) == nullptr);
          return BCTX_OK;
        }) == "");
  CHECK(fake.outputs[0].dims == std::vector<int64_t>{0});
}

TEST_CASE("work is shared over the runtime's threads, single pieces stay here", "[ort]") {
  fake = {};
  CHECK(RunWith({}, [](bctx_run* run, bctx_error*) {
          std::vector<int> done(9, 0);
          const auto work = [](void* list, size_t i) { ++static_cast<int*>(list)[i]; };
          run->parallel(run, done.size(), work, done.data());
          CHECK(done == std::vector<int>(9, 1));
          run->parallel(run, 1, work, done.data());
          CHECK(done[0] == 2);
          return BCTX_OK;
        }) == "");
  CHECK(fake.parallel_calls == 1);
}

TEST_CASE("what the runtime fails with is what the run fails with", "[ort]") {
  const auto body = [](bctx_run* run, bctx_error*) {
    const int64_t dims[] = {1};
    void* const memory = run->output(run, 0, dims, 1);
    run->parallel(run, 2, [](void*, size_t) {}, nullptr);
    return memory != nullptr ? BCTX_OK : BCTX_INTERNAL;
  };
  for (const char* function : {"input", "shape", "dims", "output", "parallel"}) {
    fake = {};
    fake.inputs = {Filled({1}, 0)};
    fake.outputs.resize(1);
    fake.fail_in = function;
    CHECK(RunWith({{0}, {0}, {1}}, body) == function);
  }
  fake = {};
  fake.inputs = {Filled({1}, 0)};
  fake.outputs.resize(1);
  CHECK(RunWith({{0}, {0}, {1}}, body) == "");
}

TEST_CASE("a kernel that fails or throws names the call", "[ort]") {
  fake = {};
  CHECK(RunWith({}, [](bctx_run*, bctx_error* error) {
          std::snprintf(error->message, sizeof(error->message), "head size 8, expected 64");
          return BCTX_INVALID_ARGUMENT;
        }) == "call: fake: run: head size 8, expected 64");
  CHECK(RunWith({}, [](bctx_run*, bctx_error*) -> bctx_code { throw 1; }) ==
        "call: fake: run: threw an exception: something that is no std::exception");
}

}  // namespace
}  // namespace backendctx::ort
