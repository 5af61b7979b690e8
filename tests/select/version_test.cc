#include "select/version.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace backendctx::select {
namespace {

TEST_CASE("versions are ordered by their numbers, pre-releases before them", "[select]") {
  // Each line is later than the one above it; within a line all are equal.
  const std::vector<std::vector<std::string>> lines = {
      {"0", "0.0", "0-beginning"},
      {"0.9"},
      {"0.10", "0.10.0.0", "00.010"},
      {"1.0.dev20250101", "1-DEV.20250101"},
      {"1.0a", "1.0alpha", "1.0.a0"},
      {"1.0a2"},
      {"1.0b1", "1.0-beta.1"},
      {"1.0rc1", "1.0-rc.1", "1.0_preview1", "1.0c1"},
      {"1.0rc2"},
      {"1.0", "1", "1.0.0", "1.0+cu128", "1.0-28-amd64", "1.0w", "1.0.post", "1.0 and so on", "1."},
      {"1.0.0.1"},
      {"2026.4.0", "2026.4", "2026.4.0-19876-0abc-releases/2026/4"},
      {"2026.5.0-rc1"},
      {"2026.5"},
      {"18446744073709551615"},
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    for (const std::string& text : lines[i]) {
      INFO(text);
      REQUIRE(ParseVersion(text));
      CHECK(*ParseVersion(text) == *ParseVersion(lines[i].front()));
      if (i > 0) CHECK(*ParseVersion(lines[i - 1].front()) < *ParseVersion(text));
    }
  }
}

TEST_CASE("text that is no version is none", "[select][hostile]") {
  for (const char* text : {"", "v1.0", "release", ".1", "-1", "+1", " 1", "18446744073709551616",
                           "1.18446744073709551616", "1.2.3.4.5.6.7.8.9"}) {
    INFO(text);
    CHECK_FALSE(ParseVersion(text));
  }
  CHECK(ParseVersion("1.2.3.4.5.6.7.8"));
}

}  // namespace
}  // namespace backendctx::select
