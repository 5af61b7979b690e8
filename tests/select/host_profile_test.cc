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
