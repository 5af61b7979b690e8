// ONNX Runtime, the provider, the library and every plug-in in one process. Two objects that each
// register onnx's messages would abort at the second dlopen; here that would be this program.
#include <catch2/catch.hpp>
#include <filesystem>

#include "backendctx/version.h"
#include "plugin/plugin.h"
#include "runtime/runtime.h"

namespace backendctx::ort {
namespace {

TEST_CASE("host, provider, library, compiler and driver live in one process", "[ort]") {
  const Result<Runtime> runtime = Runtime::Open(ORT_LIBRARY);
  REQUIRE(runtime);
  const OrtApi& api = runtime->api();
  Env env;
  REQUIRE(runtime->Make(api.CreateEnv, &env, ORT_LOGGING_LEVEL_WARNING, "together").ok());
  CHECK(
      runtime->Check(api.RegisterExecutionProviderLibrary(env.get(), "backendctx", PROVIDER)).ok());
  const plugin::Found found = plugin::FindPlugins({PLUGIN_FOLDER}, {});
  CHECK(found.left_out == std::vector<std::string>());
  size_t compilers = 0, drivers = 0;
  for (const plugin::Plugin& one : found.plugins) {
    if (one.backend() != "cpu-attention") continue;  // of others, that they load is what counts
    one.runs() ? ++drivers : ++compilers;
  }
  CHECK(drivers == 1);
  CHECK(compilers == 1);
  CHECK(std::string(LibraryVersion()) != "");

  const OrtEpDevice* const* devices = nullptr;
  size_t count = 0, ours = 0;
  REQUIRE(runtime->Check(api.GetEpDevices(env.get(), &devices, &count)).ok());
  for (size_t i = 0; i < count; ++i) {
    ours += std::string(api.EpDevice_EpName(devices[i])) == "BackendContextExecutionProvider";
  }
  CHECK(ours == 1);
  CHECK(runtime->Check(api.UnregisterExecutionProviderLibrary(env.get(), "backendctx")).ok());
}

TEST_CASE("the provider can be registered again after it was given back", "[ort]") {
  const Result<Runtime> runtime = Runtime::Open(ORT_LIBRARY);
  REQUIRE(runtime);
  const OrtApi& api = runtime->api();
  for (int round = 0; round < 3; ++round) {
    Env env;
    REQUIRE(runtime->Make(api.CreateEnv, &env, ORT_LOGGING_LEVEL_WARNING, "again").ok());
    CHECK(runtime->Check(api.RegisterExecutionProviderLibrary(env.get(), "b", PROVIDER)).ok());
    CHECK(runtime->Check(api.UnregisterExecutionProviderLibrary(env.get(), "b")).ok());
  }
}

TEST_CASE("a runtime that is not there or is something else is refused", "[ort]") {
  CHECK(Runtime::Open("/nonexistent/libonnxruntime.so").status().code() == StatusCode::kIo);
  const Status other = Runtime::Open(PROVIDER).status();
  CHECK(other.code() == StatusCode::kIo);
  CHECK(other.message() == std::string(PROVIDER) + ": is not ONNX Runtime");
}

}  // namespace
}  // namespace backendctx::ort
