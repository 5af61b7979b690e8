#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "backendctx/selection.h"

namespace backendctx {
namespace {

StatusCode CodeOf(const std::string& json) { return HostProfile::FromJson(json).status().code(); }

std::string WithFacts(const std::string& facts) {
  return "{\"schema_version\": 1, \"facts\": {" + facts + "}}";
}

TEST_CASE("this machine's profile survives JSON", "[select]") {
  const HostProfile host = HostProfile::Detect();
  const Result<HostProfile> again = HostProfile::FromJson(host.ToJson());
  REQUIRE(again);
  CHECK(again->facts == host.facts);
  CHECK(again->devices == host.devices);
  CHECK(again->ToJson() == host.ToJson());
}

TEST_CASE("this machine's memory, processor and system libraries are detected", "[select]") {
  const HostProfile host = HostProfile::Detect();
  CHECK(std::get<int64_t>(host.facts.at("memory")) > int64_t{1} << 26);
  CHECK_FALSE(std::get<std::string>(host.facts.at("library.glibc")).empty());
  REQUIRE(host.devices.size() == 1);
  CHECK(host.devices[0].kind == "cpu");
  CHECK(host.devices[0].facts.at("arch") == host.facts.at("arch"));
}

TEST_CASE("devices, libraries and vendor strings are what requirements name", "[select]") {
  const auto profile = HostProfile::FromJson(R"({"schema_version": 1, "facts": {},
    "devices": [{"kind": "npu", "model": "43", "driver": "2.37", "memory": 8,
                 "features": ["b", "a"], "arch": "v73"}],
    "libraries": {"qnn": "2.37.1.250807"}, "vendor": {"qnn": "soc=43; any text"}})");
  REQUIRE(profile);
  std::string detail;
  CHECK(Judge({{"device.npu.features", 3, {"a"}},
               {"device.npu.memory", 4, {"8"}},
               {"device.npu.driver", 6, {">=2.36", "<3"}},
               {"library.qnn", 6, {"==2.37.1.250807"}},
               {"vendor.qnn", 8, {"soc=43; any text"}}},
              *profile, &detail) == Verdict::kOptimal);
  CHECK(detail.empty());
  CHECK(HostProfile::FromJson(profile->ToJson())->facts == profile->facts);
  CHECK(HostProfile::FromJson(profile->ToJson())->devices == profile->devices);
}

TEST_CASE("an error in a profile names the place, what was found and what is known", "[select]") {
  struct Row {
    std::string members, message;
  };
  const Row rows[] = {
      {R"("device": [])",
       "device: is not known; known are schema_version, facts, devices, libraries, vendor"},
      {R"("devices": {})", "devices: found a object, expected a list"},
      {R"("devices": ["npu"])", "devices[0]: found a string, expected an object"},
      {R"("devices": [{"kind": "npu"}, {"model": "x"}])",
       "devices[1].kind: found \"\", expected 1 to 32 of a-z, 0-9 and -"},
      {R"("devices": [{"kind": "n.pu"}])",
       "devices[0].kind: found \"n.pu\", expected 1 to 32 of a-z, 0-9 and -"},
      {R"("devices": [{"kind": "npu", "size": 1}])",
       "devices[0].size: is not known; known are kind, model, arch, driver, memory, features"},
      {R"("devices": [{"kind": "npu", "memory": "8 GB"}])",
       "devices[0].memory: found a string, expected an integer"},
      {R"("devices": [{"kind": "npu", "memory": -1}])",
       "devices[0].memory: found -1, expected 0 or more"},
      {R"("devices": [{"kind": "npu", "driver": "new"}])",
       "devices[0].driver: found \"new\", expected a version such as 2026.4.0"},
      {R"("devices": [{"kind": "npu", "driver": 2}])",
       "devices[0].driver: found a number, expected text"},
      {R"("devices": [{"kind": "npu", "features": "a"}])",
       "devices[0].features: found a string, expected a list of texts"},
      {R"("libraries": [])", "libraries: found a array, expected an object"},
      {R"("libraries": {"qnn": "v2"})",
       "libraries.qnn: found \"v2\", expected a version such as 2026.4.0"},
      {R"("vendor": {"qnn": 1})", "vendor.qnn: found a number, expected text"},
      {R"("vendor": {"": "x"})", "vendor: found \"\" as a name"},
  };
  for (const Row& row : rows) {
    INFO(row.members);
    const auto profile =
        HostProfile::FromJson("{\"schema_version\": 1, \"facts\": {}, " + row.members + "}");
    REQUIRE_FALSE(profile);
    CHECK(profile.error().code() == StatusCode::kMalformed);
    CHECK(profile.error().message() == "host profile: " + row.message);
  }
}

TEST_CASE("facts with a rule of their own keep it", "[select]") {
  for (const char* facts :
       {R"("arch": 1)", R"("os": ["linux"])", R"("os.version": "new")", R"("cpu.features": "avx")",
        R"("cpu.count": "4")", R"("cpu.count": -1)", R"("memory": 1.5)", R"("library.x": "1")",
        R"("vendor.x": "1")", R"("device.npu.model": "1")", R"("input.0.rank": 4)"}) {
    INFO(facts);
    CHECK(CodeOf(WithFacts(facts)) == StatusCode::kMalformed);
  }
}

TEST_CASE("the detected features are among those that the kernel lists", "[select]") {
  const HostProfile host = HostProfile::Detect();
  CHECK(std::get<std::string>(host.facts.at("os")) == "linux");
  CHECK(std::get<int64_t>(host.facts.at("cpu.count")) >= 1);
  const auto& features = std::get<std::vector<std::string>>(host.facts.at("cpu.features"));
  CHECK(std::is_sorted(features.begin(), features.end()));
#if defined(__x86_64__)
  CHECK(std::get<std::string>(host.facts.at("arch")) == "x86_64");
  CHECK(std::count(features.begin(), features.end(), "sse2") == 1);
  const std::string heading = "flags";
#else
  const std::string heading = "Features";
#endif
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::set<std::string> listed;
  for (std::string line; listed.empty() && std::getline(cpuinfo, line);) {
    if (!line.starts_with(heading)) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string word; words >> word;) listed.insert(word);
  }
  REQUIRE(!listed.empty());
  for (const std::string& feature : features) {
    INFO(feature);
    CHECK(listed.count(feature) == 1);
  }
}

TEST_CASE("sets of a profile are sorted and without repetition", "[select]") {
  const auto profile = HostProfile::FromJson(WithFacts(R"("cpu.features": ["b", "a", "b"])"));
  REQUIRE(profile);
  CHECK(std::get<std::vector<std::string>>(profile->facts.at("cpu.features")) ==
        std::vector<std::string>{"a", "b"});
}

TEST_CASE("a profile that is not one is refused by kind", "[select][hostile]") {
  CHECK(CodeOf(WithFacts(R"("arch": "x86_64", "cpu.count": 2)")) == StatusCode::kOk);
  const std::string malformed[] = {
      "",
      "[]",
      "{",
      "null",
      "{\"schema_version\": 1}",
      "{\"facts\": {}}",
      "{\"schema_version\": \"1\", \"facts\": {}}",
      "{\"schema_version\": 1, \"facts\": []}",
      "{\"schema_version\": 1, \"facts\": {}, \"facts\": {}}",
      WithFacts(R"("a": "x", "a": "y")"),
      WithFacts(R"("a": 1.5)"),
      WithFacts(R"("a": null)"),
      WithFacts(R"("a": true)"),
      WithFacts(R"("a": {})"),
      WithFacts(R"("a": [1])"),
      WithFacts(R"("a": [["x"]])"),
      WithFacts(R"("a": 9007199254740993)"),
      WithFacts(R"("a": -9007199254740993)"),
      WithFacts(R"("a": 18446744073709551615)"),
      WithFacts(R"("a": NaN)"),
      WithFacts(R"("a": "\ud800")"),
      WithFacts(R"("a": "\u0007")"),
      WithFacts(R"("": "x")"),
      WithFacts(R"("a": "x")") + "x",
      "\xef\xbb\xbf" + WithFacts(""),
      WithFacts("\"a\": \"\xff\""),
  };
  for (const std::string& text : malformed) {
    INFO(text);
    CHECK(CodeOf(text) == StatusCode::kMalformed);
  }
  CHECK(CodeOf("{\"schema_version\": 2, \"facts\": {}}") == StatusCode::kUnsupportedVersion);
}

TEST_CASE("the limits of a profile are kept", "[select][hostile]") {
  CHECK(CodeOf(std::string(2u << 20, ' ')) == StatusCode::kResourceExhausted);
  std::string list;
  for (int i = 0; i < 5000; ++i) list += (i ? ",\"" : "\"") + std::to_string(i) + "\"";
  CHECK(CodeOf(WithFacts("\"a\": [" + list + "]")) == StatusCode::kResourceExhausted);
  std::string facts;
  for (int i = 0; i < 5000; ++i) facts += (i ? ",\"" : "\"") + std::to_string(i) + "\": 1";
  CHECK(CodeOf(WithFacts(facts)) == StatusCode::kResourceExhausted);
  CHECK(CodeOf(WithFacts("\"a\": " + std::string(100000, '[') + std::string(100000, ']'))) ==
        StatusCode::kMalformed);
}

TEST_CASE("a profile has at most 256 devices", "[select][hostile]") {
  const auto with = [](int count) {
    std::string devices;
    for (int i = 0; i < count; ++i) devices += i ? ",{\"kind\":\"a\"}" : "{\"kind\":\"a\"}";
    return "{\"schema_version\": 1, \"facts\": {}, \"devices\": [" + devices + "]}";
  };
  CHECK(CodeOf(with(256)) == StatusCode::kOk);
  CHECK(CodeOf(with(257)) == StatusCode::kResourceExhausted);
}

TEST_CASE("truncated profiles are malformed at every byte", "[select][hostile]") {
  const std::string whole =
      WithFacts(R"("arch": "x86_64", "cpu.features": ["avx2"], "cpu.count": 2)");
  for (size_t size = 0; size < whole.size(); ++size) {
    CHECK(CodeOf(whole.substr(0, size)) == StatusCode::kMalformed);
  }
  CHECK(CodeOf(whole) == StatusCode::kOk);
}

}  // namespace
}  // namespace backendctx
