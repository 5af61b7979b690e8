#include <catch2/catch.hpp>

#include "backendctx/selection.h"

namespace backendctx {
namespace {

using manifest::Requirement;

constexpr uint32_t kEquals = 1, kOneOf = 2, kContainsAll = 3, kAtLeast = 4;

HostProfile Host() {
  HostProfile host;
  host.facts["arch"] = "x86_64";
  host.facts["os"] = "linux";
  host.facts["cpu.count"] = int64_t{4};
  host.facts["cpu.features"] = std::vector<std::string>{"avx", "avx2", "fma"};
  return host;
}

TEST_CASE("each predicate is met, missed or refused with the fact named", "[select]") {
  struct Row {
    Requirement requirement;
    Verdict verdict;
    std::string detail;
  };
  const Verdict yes = Verdict::kOptimal, no = Verdict::kUnsupported;
  const Row rows[] = {
      {{"arch", kEquals, {"x86_64"}}, yes, ""},
      {{"arch", kEquals, {"aarch64"}}, no, "arch: the host has x86_64, expected aarch64"},
      {{"arch", kEquals, {"x86_64", "aarch64"}}, no, "arch: found 2 values, expected one"},
      {{"arch", kOneOf, {"aarch64", "x86_64"}}, yes, ""},
      {{"os", kOneOf, {"qnx", "hurd"}}, no, "os: the host has linux, expected one of qnx, hurd"},
      {{"cpu.features", kContainsAll, {"fma", "avx2"}}, yes, ""},
      {{"cpu.features", kContainsAll, {"avx2", "avx512f", "amx_tile"}},
       no,
       "cpu.features: the host lacks avx512f, amx_tile"},
      {{"arch", kContainsAll, {"x86_64"}}, no, "arch: the host has no set"},
      {{"cpu.features", kEquals, {"avx2"}},
       no,
       "cpu.features: the host has a set, expected one value"},
      {{"cpu.count", kAtLeast, {"4"}}, yes, ""},
      {{"cpu.count", kEquals, {"4"}}, yes, ""},
      {{"cpu.count", kAtLeast, {"5"}}, no, "cpu.count: the host has 4, expected 5 or more"},
      {{"cpu.count", kAtLeast, {"4x"}}, no, "cpu.count: cannot be compared as integers"},
      {{"cpu.count", kAtLeast, {"99999999999999999999"}},
       no,
       "cpu.count: cannot be compared as integers"},
      {{"arch", kAtLeast, {"1"}}, no, "arch: cannot be compared as integers"},
      {{"npu", kEquals, {"v73"}}, no, "npu: not known of the host, expected v73"},
      {{"arch", kOneOf, {}}, no, "arch: the requirement has no value"},
      {{"arch", 77, {"x86_64"}}, no, "arch: predicate 77 is not known to this version"},
  };
  for (const Row& row : rows) {
    std::string detail = "left over";
    INFO(row.requirement.key << " " << row.requirement.predicate << " " << row.detail);
    CHECK(Judge({row.requirement}, Host(), &detail) == row.verdict);
    CHECK(detail == row.detail);
  }
}

TEST_CASE("all requirements must be met, none means any machine", "[select]") {
  CHECK(Judge({}, HostProfile(), nullptr) == Verdict::kOptimal);
  std::string detail;
  CHECK(Judge({{"arch", kEquals, {"x86_64"}}, {"os", kEquals, {"qnx"}}}, Host(), &detail) ==
        Verdict::kUnsupported);
  CHECK(detail == "os: the host has linux, expected qnx");
}

TEST_CASE("control characters of a package do not reach the detail", "[select][hostile]") {
  std::string detail;
  CHECK(Judge({{"a\x1b[2J", kEquals, {"\nb"}}}, Host(), &detail) == Verdict::kUnsupported);
  CHECK(detail.find('\x1b') == std::string::npos);
  CHECK(detail.find('\n') == std::string::npos);
}

TEST_CASE("names of verdicts and outcomes are those of the reports", "[select]") {
  CHECK(std::string(VerdictName(Verdict::kOptimal)) == "optimal");
  CHECK(std::string(VerdictName(Verdict::kRecompilePreferred)) == "recompile-preferred");
  CHECK(std::string(VerdictName(Verdict::kUnsupported)) == "unsupported");
  CHECK(std::string(VerdictName(Verdict::kNotApplicable)) == "not-applicable");
  CHECK(std::string(OutcomeName(Outcome::kChosen)) == "chosen");
  CHECK(std::string(OutcomeName(Outcome::kRejected)) == "rejected");
  CHECK(std::string(OutcomeName(Outcome::kStale)) == "stale");
  CHECK(std::string(OutcomeName(Outcome::kAbsent)) == "absent");
}

}  // namespace
}  // namespace backendctx
