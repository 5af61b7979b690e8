#include <catch2/catch.hpp>
#include <cstring>
#include <stdexcept>

#include "fake_table.h"

namespace backendctx::plugin {
namespace {

const uint8_t kBytes[] = {7, 8, 9};
const char* const kFeatures[] = {"avx2", "fma"};
const bctx_requirement kRequirements[] = {{"cpu.features", BCTX_CONTAINS_ALL, kFeatures, 2, 0}};
const bctx_key_value kOptions[] = {{"a", "1"}, {"b", ""}};

void FillGood(bctx_blob* blob) {
  blob->bytes = {kBytes, sizeof(kBytes)};
  blob->entry = "main";
  blob->requirements = kRequirements;
  blob->requirement_count = 1;
  blob->options = kOptions;
  blob->option_count = 2;
  blob->weights = BCTX_WEIGHTS_NONE;
}

Result<Blob> CompileWith(std::function<bctx_code(bctx_blob*, bctx_error*)> compile) {
  const bctx_plugin table = FakeTable();
  fake.compile = std::move(compile);
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  const bctx_compile_request request{};
  return Compile(*plugin, request);
}

TEST_CASE("a blob is copied with all that belongs to it, then released", "[plugin]") {
  const Result<Blob> blob = CompileWith([](bctx_blob* out, bctx_error*) {
    CHECK(out->struct_size == sizeof(bctx_blob));
    FillGood(out);
    return BCTX_OK;
  });
  REQUIRE(blob);
  CHECK(blob->bytes == "\x07\x08\x09");
  CHECK(blob->entry == "main");
  REQUIRE(blob->requirements.size() == 1);
  CHECK(blob->requirements[0].values == std::vector<std::string>{"avx2", "fma"});
  CHECK(blob->options == std::vector<manifest::KeyValue>{{"a", "1"}, {"b", ""}});
  CHECK(blob->weights == manifest::WeightsKind::kNone);
  CHECK(fake.released == 1);
}

TEST_CASE("a label is a requirement that the vendor judges, and preferences are kept", "[plugin]") {
  static const bctx_requirement preferred[] = {
      {"cpu.features", BCTX_CONTAINS_ALL, kFeatures, 2, 1}};
  const Result<Blob> blob = CompileWith([](bctx_blob* out, bctx_error*) {
    FillGood(out);
    out->requirements = preferred;
    out->label = "v73";
    out->note = "holds its weights";
    return BCTX_OK;
  });
  REQUIRE(blob);
  REQUIRE(blob->requirements.size() == 2);
  CHECK(blob->requirements[0].preferred);
  CHECK(blob->requirements[1].key == "vendor.fake");
  CHECK(blob->requirements[1].predicate ==
        static_cast<uint32_t>(manifest::Predicate::kVendorString));
  CHECK(blob->requirements[1].values == std::vector<std::string>{"v73"});
  CHECK(blob->note == "holds its weights");
}

TEST_CASE("a label that the blob itself does not have is a lie", "[plugin][hostile]") {
  const auto compiled = [](const char* said, const char* has) {
    return CompileWith([said, has](bctx_blob* out, bctx_error*) {
      FillGood(out);
      out->label = said;
      fake.say = [has](bctx_sink* sink, bctx_error*) {
        if (has != nullptr) sink->add(sink, "label", has);
        return BCTX_OK;
      };
      return BCTX_OK;
    });
  };
  CHECK(compiled("v73", "v73"));
  CHECK(compiled("v73", nullptr));  // the vendor's code cannot tell
  for (const char* said : {"v75", static_cast<const char*>(nullptr)}) {
    const Status status = compiled(said, "v73").status();
    CHECK(status.code() == StatusCode::kInternal);
    CHECK(status.message().ends_with("the blob has \"v73\""));
    CHECK(fake.released == 1);
  }
}

TEST_CASE("a plug-in that does not keep its promises is named with what is wrong",
          "[plugin][hostile]") {
  static const char* const bad_values[] = {nullptr};
  static const bctx_requirement no_values[] = {{"arch", BCTX_EQUALS, nullptr, 1, 0}};
  static const bctx_requirement null_value[] = {{"arch", BCTX_EQUALS, bad_values, 1, 0}};
  static const bctx_requirement predicate[] = {{"arch", 9, kFeatures, 1, 0}};
  static const bctx_key_value unsorted[] = {{"b", "1"}, {"a", "1"}};
  static const bctx_key_value repeated[] = {{"a", "1"}, {"a", "2"}};
  static const bctx_key_value null_text[] = {{"a", nullptr}};
  struct Row {
    std::function<void(bctx_blob*)> spoil;
    std::string text;
  };
  const Row rows[] = {
      {[](bctx_blob* b) { b->bytes.data = nullptr; }, "blob: 3 bytes promised, none delivered"},
      {[](bctx_blob* b) { b->bytes.size = 0; }, "blob: found 0 bytes"},
      {[](bctx_blob* b) { b->bytes.size = SIZE_MAX; }, "blob: found 18446744073709551615 bytes"},
      {[](bctx_blob* b) { b->entry = nullptr; }, "entry: expected a text"},
      {[](bctx_blob* b) { b->entry = "ma\nin"; }, "entry: expected a text"},
      {[](bctx_blob* b) { b->requirements = nullptr; }, "requirements: 1 promised, none delivered"},
      {[](bctx_blob* b) { b->requirement_count = SIZE_MAX; }, "requirements: found 1844674"},
      {[](bctx_blob* b) { b->requirements = no_values; }, "requirement values: 1 promised"},
      {[](bctx_blob* b) { b->requirements = null_value; }, "requirement value: expected a text"},
      {[](bctx_blob* b) { b->requirements = predicate; }, "requirement arch: predicate 9 is none"},
      {[](bctx_blob* b) { b->options = nullptr; }, "options: 2 promised, none delivered"},
      {[](bctx_blob* b) { b->options = unsorted; }, "options: expected them sorted"},
      {[](bctx_blob* b) { b->options = repeated; }, "options: expected them sorted"},
      {[](bctx_blob* b) { b->options = null_text, b->option_count = 1; }, "option value: expected"},
      {[](bctx_blob* b) { b->weights = 5; }, "weights: found kind 5, which is none"},
      {[](bctx_blob* b) { b->label = "a\nb"; }, "label: expected a text"},
      {[](bctx_blob* b) { b->note = "\x01"; }, "note: expected a text"},
  };
  for (const Row& row : rows) {
    const Status status = CompileWith([&](bctx_blob* out, bctx_error*) {
                            FillGood(out);
                            row.spoil(out);
                            return BCTX_OK;
                          }).status();
    INFO(status.message());
    CHECK(status.code() == StatusCode::kInternal);
    CHECK(status.message().starts_with("fake: compile: " + row.text));
    CHECK(fake.released == 1);
  }
}

TEST_CASE("each code of the interface has its own status", "[plugin]") {
  const std::pair<bctx_code, StatusCode> rows[] = {
      {BCTX_INVALID_ARGUMENT, StatusCode::kInvalidArgument},
      {BCTX_UNSUPPORTED, StatusCode::kUnimplemented},
      {BCTX_MALFORMED, StatusCode::kMalformed},
      {BCTX_INCOMPATIBLE, StatusCode::kIncompatible},
      {BCTX_INTERNAL, StatusCode::kInternal},
      {static_cast<bctx_code>(7), StatusCode::kInternal},
  };
  for (const auto& [code, expected] : rows) {
    const Status status = CompileWith([code = code](bctx_blob*, bctx_error* error) {
                            CHECK(error->struct_size == sizeof(bctx_error));
                            std::strcpy(error->message, "head size 72");
                            return code;
                          }).status();
    CHECK(status.code() == expected);
    CHECK(status.message().starts_with("fake: compile: "));
    CHECK(status.message().ends_with("head size 72"));
    CHECK(fake.released == 0);
  }
}

TEST_CASE("a failure without a text, or with one that has no end, is still told",
          "[plugin][hostile]") {
  CHECK(CompileWith([](bctx_blob*, bctx_error*) { return BCTX_INTERNAL; }).status().message() ==
        "fake: compile: failed with code 5 and said nothing");
  const Status endless = CompileWith([](bctx_blob*, bctx_error* error) {
                           std::memset(error->message, 'x', sizeof(error->message));
                           return BCTX_UNSUPPORTED;
                         }).status();
  CHECK(endless.message() == "fake: compile: " + std::string(sizeof(bctx_error::message), 'x'));
}

TEST_CASE("an exception from a plug-in does not leave the library", "[plugin][hostile]") {
  const Status known = CompileWith([](bctx_blob*, bctx_error*) -> bctx_code {
                         throw std::runtime_error("out of registers");
                       }).status();
  CHECK(known.code() == StatusCode::kInternal);
  CHECK(known.message() == "fake: compile: threw an exception: out of registers");
  const Status odd = CompileWith([](bctx_blob*, bctx_error*) -> bctx_code { throw 42; }).status();
  CHECK(odd.code() == StatusCode::kInternal);
  CHECK(fake.released == 0);
}

TEST_CASE("a driver is not asked to compile", "[plugin]") {
  bctx_plugin table = FakeTable();
  table.compile = nullptr;
  table.release_blob = nullptr;
  table.targets = nullptr;  // a driver needs none
  table.option_keys = nullptr;
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  CHECK_FALSE(plugin->compiles());
  CHECK(Compile(*plugin, {}).status().code() == StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace backendctx::plugin
