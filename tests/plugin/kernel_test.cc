#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "fake_table.h"

namespace backendctx::plugin {
namespace {

bctx_kernel the_kernel;

// A plug-in whose load gives `the_kernel`.
Plugin GoodPlugin() {
  static bctx_plugin table;
  table = FakeTable();
  fake.load = [](const bctx_load_request*, bctx_kernel** kernel, bctx_error*) {
    *kernel = &the_kernel;
    return BCTX_OK;
  };
  Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  return *plugin;
}

TEST_CASE("a kernel is loaded with its blob, entry and options and unloaded once", "[plugin]") {
  const Plugin plugin = GoodPlugin();
  const uint8_t bytes[] = {1, 2};
  fake.load = [&](const bctx_load_request* request, bctx_kernel** kernel, bctx_error*) {
    CHECK(request->struct_size == sizeof(bctx_load_request));
    CHECK(request->blob.data == bytes);
    CHECK(request->blob.size == 2);
    CHECK(std::string(request->entry) == "main");
    CHECK(request->option_count == 1);
    CHECK(std::string(request->options[0].key) + request->options[0].value == "kv");
    REQUIRE(request->weight_count == 1);
    CHECK(request->weights[0].offset == 64);
    CHECK(request->weights[0].file_offset == 4096);
    CHECK(std::string(request->weight_file) == "/somewhere");
    CHECK(request->threads == 2);
    CHECK(request->input_count == 3);
    CHECK(request->output_count == 1);
    *kernel = &the_kernel;
    return BCTX_OK;
  };
  {
    LoadRequest from;
    from.private_blob = bytes;
    from.entry = "main";
    from.options = {{"k", "v"}};
    from.weights = {{64, 3, bytes, 4096}};
    from.weight_file = "/somewhere";
    from.threads = 2;
    from.inputs = 3;
    from.outputs = 1;
    const Result<Kernel> kernel = Kernel::Load(plugin, from);
    REQUIRE(kernel);
    const Kernel copy = *kernel;
    bctx_run run{};
    fake.run = [&](bctx_run* given, bctx_error*) {
      CHECK(given == &run);
      return BCTX_OK;
    };
    CHECK(copy.Run(&run).ok());
    CHECK(fake.unloaded == 0);
  }
  CHECK(fake.unloaded == 1);
}

TEST_CASE("a load that fails, gives nothing or throws leaves nothing to unload",
          "[plugin][hostile]") {
  const Plugin plugin = GoodPlugin();
  const auto status_of = [&] { return Kernel::Load(plugin, LoadRequest{}).status(); };
  fake.load = [](const bctx_load_request*, bctx_kernel** kernel, bctx_error* error) {
    *kernel = &the_kernel;
    std::strcpy(error->message, "needs avx512f");
    return BCTX_INCOMPATIBLE;
  };
  CHECK(status_of().code() == StatusCode::kIncompatible);
  CHECK(status_of().message() == "fake: load: needs avx512f");
  fake.load = [](const bctx_load_request*, bctx_kernel**, bctx_error*) { return BCTX_OK; };
  CHECK(status_of().code() == StatusCode::kInternal);
  CHECK(status_of().message() == "fake: load: said ok and gave no kernel");
  fake.load = [](const bctx_load_request*, bctx_kernel**, bctx_error*) -> bctx_code {
    throw std::runtime_error("no memory");
  };
  CHECK(status_of().message() == "fake: load: threw an exception: no memory");
  CHECK(fake.unloaded == 0);
}

TEST_CASE("a run that fails or throws is a status", "[plugin][hostile]") {
  const Plugin plugin = GoodPlugin();
  const Result<Kernel> kernel = Kernel::Load(plugin, LoadRequest{});
  REQUIRE(kernel);
  bctx_run run{};
  fake.run = [](bctx_run*, bctx_error*) { return BCTX_INVALID_ARGUMENT; };
  CHECK(kernel->Run(&run).message() == "fake: run: failed with code 1 and said nothing");
  fake.run = [](bctx_run*, bctx_error*) -> bctx_code { throw std::runtime_error("odd shape"); };
  CHECK(kernel->Run(&run).message() == "fake: run: threw an exception: odd shape");
}

TEST_CASE("a compiler is not asked to load", "[plugin]") {
  bctx_plugin table = FakeTable();
  table.load = nullptr;
  table.run = nullptr;
  table.unload = nullptr;
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  CHECK_FALSE(plugin->runs());
  CHECK(Kernel::Load(*plugin, LoadRequest{}).status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("members behind the struct size of an older plug-in are not read", "[plugin][hostile]") {
  bctx_plugin table = FakeTable();
  table.struct_size = offsetof(bctx_plugin, load);
  const Result<Plugin> compiler = Plugin::FromTable(&table);
  REQUIRE(compiler);
  CHECK(compiler->compiles());
  CHECK_FALSE(compiler->runs());
  table.struct_size = offsetof(bctx_plugin, compile);
  CHECK(Plugin::FromTable(&table).status().code() == StatusCode::kMalformed);
  CHECK(Plugin::FromTable(nullptr).status().code() == StatusCode::kUnsupportedVersion);
}

TEST_CASE("a list without an end is not followed for ever", "[plugin][hostile]") {
  std::vector<const char*> endless(2000, "x");
  endless.push_back(nullptr);
  bctx_plugin table = FakeTable();
  table.targets = endless.data();
  CHECK(Plugin::FromTable(&table).status().message() == "plug-in table: targets has no end");
  table.targets = nullptr;
  CHECK(Plugin::FromTable(&table).status().message() == "plug-in table: targets is null");
}

}  // namespace
}  // namespace backendctx::plugin
