#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "plugin/plugin.h"

namespace backendctx::plugin {
namespace {

std::string Fake(const std::string& name) {
  return std::string(FAKES_FOLDER) + "/libbctx_fake_" + name + ".so";
}

TEST_CASE("a sound plug-in is loaded and says what it is", "[plugin]") {
  const Result<Plugin> plugin = Plugin::Load(Fake("good"));
  REQUIRE(plugin);
  CHECK(plugin->backend() == "fake-good");
  CHECK(plugin->version() == "1.0");
  CHECK(plugin->path() == Fake("good"));
  CHECK(plugin->compiles());
  CHECK(plugin->runs());
  const Result<Kernel> kernel = Kernel::Load(*plugin, LoadRequest{});
  REQUIRE(kernel);
  bctx_run run{};
  CHECK(kernel->Run(&run).ok());
}

TEST_CASE("a kernel keeps its plug-in loaded", "[plugin]") {
  Result<Kernel> kernel = Status(StatusCode::kInternal, "none yet");
  {
    const Result<Plugin> plugin = Plugin::Load(Fake("good"));
    REQUIRE(plugin);
    kernel = Kernel::Load(*plugin, LoadRequest{});
  }
  REQUIRE(kernel);
  bctx_run run{};
  CHECK(kernel->Run(&run).ok());
}

TEST_CASE("a plug-in that is wrong is refused with the reason", "[plugin][hostile]") {
  struct Row {
    std::string fake;
    StatusCode code;
    std::string text;
  };
  const Row rows[] = {
      {"no_symbol", StatusCode::kMalformed, "is no plug-in: exports no bctx_plugin_query"},
      {"other_version", StatusCode::kUnsupportedVersion, "abi_version: found 2, expected 1"},
      {"null_table", StatusCode::kUnsupportedVersion, "needs a host newer than ABI version 1"},
      {"short_table", StatusCode::kMalformed, "struct_size: found 4"},
      {"no_functions", StatusCode::kMalformed, "found neither compile nor load"},
      {"half_driver", StatusCode::kMalformed, "found only some of load, run and unload"},
      {"bad_name", StatusCode::kMalformed, "backend: expected a name of"},
      {"query_throws", StatusCode::kInternal, "bctx_plugin_query: threw an exception"},
      {"not_there", StatusCode::kIo, ""},
  };
  for (const Row& row : rows) {
    INFO(row.fake);
    const Status status = Plugin::Load(Fake(row.fake)).status();
    CHECK(status.code() == row.code);
    CHECK(status.message().find(row.text) != std::string::npos);
    CHECK(status.message().find(Fake(row.fake)) != std::string::npos);
  }
}

TEST_CASE("a search takes sound plug-ins in order and tells of the others", "[plugin][hostile]") {
  const Found found = FindPlugins({FAKES_FOLDER, "/nonexistent"}, {});
  REQUIRE(found.plugins.size() == 1);
  CHECK(found.plugins[0].backend() == "fake-good");
  CHECK(found.left_out.size() == 8);
  for (const std::string& line : found.left_out) {
    CHECK(line.starts_with(std::string(FAKES_FOLDER) + "/libbctx_fake_"));
    CHECK(line.find(": ") != std::string::npos);
  }
}

TEST_CASE("a search for drivers leaves compilers unopened, named files excepted", "[plugin]") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(FAKES_FOLDER).parent_path() / "search";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const auto copy = fs::copy_options::overwrite_existing;
  fs::copy_file(Fake("good"), folder / "libbctx_a_compiler.so", copy);
  fs::copy_file(Fake("good"), folder / "libbctx_a_driver.so", copy);
  fs::copy_file(Fake("good"), folder / "libbctx_b.so", copy);
  std::ofstream(folder / "libbctx_note.txt") << "no plug-in";
  std::ofstream(folder / "libother.so") << "no plug-in";
  CHECK(FindPlugins({folder}, {}).plugins.size() == 3);
  const Found drivers = FindPlugins({folder}, {}, Purpose::kRun);
  REQUIRE(drivers.plugins.size() == 2);
  CHECK(drivers.plugins[0].path() == folder / "libbctx_a_driver.so");
  CHECK(drivers.left_out.empty());
  const std::string named = folder / "libbctx_a_compiler.so";
  CHECK(FindPlugins({}, {named}, Purpose::kRun).plugins.size() == 1);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace backendctx::plugin
