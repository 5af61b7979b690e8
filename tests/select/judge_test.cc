#include <catch2/catch.hpp>

#include "backendctx/selection.h"

namespace backendctx {
namespace {

using manifest::Partition;
using manifest::Requirement;

constexpr uint32_t kEquals = 1, kOneOf = 2, kContainsAll = 3, kAtLeast = 4, kInRange = 5,
                   kVersion = 6, kMultipleOf = 7, kVendor = 8;
constexpr Verdict kYes = Verdict::kOptimal, kNo = Verdict::kUnsupported,
                  kNone = Verdict::kNotApplicable, kSoft = Verdict::kRecompilePreferred;

HostProfile Host() {
  HostProfile host;
  host.facts["arch"] = "x86_64";
  host.facts["os"] = "linux";
  host.facts["cpu.count"] = int64_t{4};
  host.facts["memory"] = int64_t{8} << 30;
  host.facts["cpu.features"] = std::vector<std::string>{"avx", "avx2", "fma"};
  host.facts["library.openvino"] = "2026.4.1-19876-abc";
  host.facts["vendor.openvino"] = "cpu;avx2";
  host.devices = {{"gpu", {{"model", "small"}, {"driver", "31.0"}, {"memory", int64_t{1} << 30}}},
                  {"gpu", {{"model", "large"}, {"driver", "30.1"}, {"memory", int64_t{8} << 30}}}};
  return host;
}

struct Row {
  std::vector<Requirement> requirements;
  Verdict verdict;
  std::string detail;
};

void CheckRows(const std::vector<Row>& rows, const Partition* partition = nullptr) {
  for (const Row& row : rows) {
    INFO(row.requirements.front().key << " " << row.requirements.front().predicate << " "
                                      << row.detail);
    std::string detail = "left over";
    CHECK(Judge(row.requirements, Host(), partition, &detail) == row.verdict);
    CHECK(detail == row.detail);
    CHECK(Judge(row.requirements, Host(), partition, nullptr) == row.verdict);
  }
}

Requirement Preferred(Requirement requirement) {
  requirement.preferred = true;
  return requirement;
}

TEST_CASE("each predicate is met, missed or refused with the fact named", "[select]") {
  CheckRows({
      {{{"arch", kEquals, {"x86_64"}}}, kYes, ""},
      {{{"arch", kEquals, {"aarch64"}}}, kNo, "arch: the host has x86_64, expected aarch64"},
      {{{"arch", kEquals, {"x86_64", "b"}}}, kNo, "arch: found 2 values, expected one"},
      {{{"arch", kOneOf, {"aarch64", "x86_64"}}}, kYes, ""},
      {{{"os", kOneOf, {"qnx", "hurd"}}}, kNo, "os: the host has linux, expected one of qnx, hurd"},
      {{{"cpu.features", kContainsAll, {"fma", "avx2"}}}, kYes, ""},
      {{{"cpu.features", kContainsAll, {"avx2", "avx512f", "amx_tile"}}},
       kNo,
       "cpu.features: the host lacks avx512f, amx_tile"},
      {{{"arch", kContainsAll, {"x86_64"}}}, kNo, "arch: the host has no set"},
      {{{"cpu.features", kEquals, {"avx2"}}},
       kNo,
       "cpu.features: the host has a set, expected one value"},
      {{{"cpu.count", kAtLeast, {"4"}}}, kYes, ""},
      {{{"cpu.count", kEquals, {"4"}}}, kYes, ""},
      {{{"cpu.count", kAtLeast, {"5"}}}, kNo, "cpu.count: the host has 4, expected 5 or more"},
      {{{"cpu.count", kAtLeast, {"4x"}}}, kNo, "cpu.count: cannot be compared as integers"},
      {{{"cpu.count", kAtLeast, {"99999999999999999999"}}},
       kNo,
       "cpu.count: cannot be compared as integers"},
      {{{"arch", kAtLeast, {"1"}}}, kNo, "arch: cannot be compared as integers"},
      {{{"arch", kOneOf, {}}}, kNo, "arch: the requirement has no value"},
  });
}

TEST_CASE("ranges and multiples of integers hold all their bounds", "[select]") {
  const auto fits = [](std::vector<std::string> bounds) {
    return Judge({{"cpu.count", kInRange, std::move(bounds)}}, Host(), nullptr) == kYes;
  };
  CHECK(fits({">=4", "<=4", "==4", ">3", "<5", "!=5"}));
  for (const char* bound : {">=5", "<=3", "==5", ">4", "<4", "!=4"}) {
    INFO(bound);
    CHECK_FALSE(fits({bound}));
    CHECK_FALSE(fits({">=1", bound}));
  }
  CheckRows({
      {{{"cpu.count", kInRange, {">=8", "<=64"}}},
       kNo,
       "cpu.count: the host has 4, expected >=8, <=64"},
      {{{"cpu.count", kInRange, {"4"}}}, kNo, "cpu.count: 4 is no bound on integers"},
      {{{"cpu.count", kInRange, {">=4.0"}}}, kNo, "cpu.count: >=4.0 is no bound on integers"},
      {{{"cpu.count", kInRange, {"=>4"}}}, kNo, "cpu.count: =>4 is no bound on integers"},
      {{{"arch", kInRange, {">=4"}}}, kNo, "arch: cannot be compared as integers"},
      {{{"memory", kAtLeast, {"8589934592"}}}, kYes, ""},
      {{{"cpu.count", kMultipleOf, {"2"}}}, kYes, ""},
      {{{"cpu.count", kMultipleOf, {"3"}}},
       kNo,
       "cpu.count: the host has 4, expected a multiple of 3"},
      {{{"cpu.count", kMultipleOf, {"0"}}}, kNo, "cpu.count: cannot be compared as integers"},
      {{{"cpu.count", kMultipleOf, {"2", "4"}}}, kNo, "cpu.count: found 2 values, expected one"},
  });
}

TEST_CASE("versions are judged as ranges, notes about the build left out", "[select]") {
  CheckRows({
      {{{"library.openvino", kVersion, {">=2026.4", "<2026.5"}}}, kYes, ""},
      {{{"library.openvino", kVersion, {"==2026.4.1"}}}, kYes, ""},
      {{{"library.openvino", kVersion, {">=2026.4", "<2026.4.1"}}},
       kNo,
       "library.openvino: the host has 2026.4.1-19876-abc, expected >=2026.4, <2026.4.1"},
      {{{"library.openvino", kVersion, {">=latest"}}},
       kNo,
       "library.openvino: >=latest is no bound on versions"},
      {{{"arch", kVersion, {">=1"}}}, kNo, "arch: x86_64 is no version"},
      {{{"cpu.features", kVersion, {">=1"}}}, kNo, "cpu.features: a set is no version"},
  });
}

TEST_CASE("what the host does not have at all is not applicable", "[select]") {
  CheckRows({
      {{{"npu", kEquals, {"v73"}}}, kNone, "npu: not known of the host, expected v73"},
      {{{"library.qnn", kVersion, {">=2.30"}}},
       kNone,
       "library.qnn: not known of the host, expected >=2.30"},
      {{{"device.npu.model", kEquals, {"43"}}},
       kNone,
       "device.npu.model: the host has no device of kind npu"},
      {{{"device.gpu.arch", kEquals, {"xe"}}},
       kNone,
       "device.gpu.arch: not known of the host, expected xe"},
      {{{"device.gpu", kEquals, {"xe"}}}, kNone, "device.gpu: not known of the host, expected xe"},
      // A machine that has the wrong thing does not fit, whatever else it lacks.
      {{{"npu", kEquals, {"v73"}}, {"arch", kEquals, {"aarch64"}}},
       kNo,
       "arch: the host has x86_64, expected aarch64"},
      {{{"device.npu.model", kEquals, {"43"}}, {"arch", kEquals, {"aarch64"}}},
       kNo,
       "arch: the host has x86_64, expected aarch64"},
      {{{"input.0.rank", kEquals, {"4"}}},
       kNone,
       "input.0.rank: not known of the host, expected 4"},
  });
}

TEST_CASE("one device meets all requirements on its kind", "[select]") {
  CheckRows({
      {{{"device.gpu.model", kOneOf, {"large", "huge"}}, {"device.gpu.memory", kAtLeast, {"2000"}}},
       kYes,
       ""},
      {{{"device.gpu.driver", kVersion, {">=31"}}}, kYes, ""},
      // Each alone is met, by another device.
      {{{"device.gpu.model", kEquals, {"large"}}, {"device.gpu.driver", kVersion, {">=31"}}},
       kNo,
       "device.gpu.model: the host has small, expected large"},
      // The device that meets the preference too is taken.
      {{{"device.gpu.memory", kAtLeast, {"1000"}},
        Preferred({"device.gpu.model", kEquals, {"large"}})},
       kYes,
       ""},
  });
}

TEST_CASE("a preference that is not met prefers a new compile and never stops", "[select]") {
  CheckRows({
      {{Preferred({"library.openvino", kVersion, {">=2026.4"}})}, kYes, ""},
      {{Preferred({"library.openvino", kVersion, {">=2026.5"}})},
       kSoft,
       "a new compile would be better: library.openvino: the host has 2026.4.1-19876-abc, "
       "expected >=2026.5"},
      {{Preferred({"npu", kEquals, {"v73"}})},
       kSoft,
       "a new compile would be better: npu: not known of the host, expected v73"},
      {{Preferred({"device.npu.model", kEquals, {"43"}})},
       kSoft,
       "a new compile would be better: device.npu.model: the host has no device of kind npu"},
      {{Preferred({"cpu.count", kAtLeast, {"8"}}), {"os", kEquals, {"qnx"}}},
       kNo,
       "os: the host has linux, expected qnx"},
  });
}

TEST_CASE("an unknown predicate is unsupported, a preferred one too", "[select]") {
  const std::string why = "arch: predicate 77 is not known to this version";
  CheckRows({
      {{{"arch", 77, {"x86_64"}}}, kNo, why},
      {{Preferred({"arch", 77, {"x86_64"}})}, kNo, why},
      {{{"npu", 77, {"a"}}}, kNo, "npu: predicate 77 is not known to this version"},
      {{{"device.npu.model", 9, {"a"}}},
       kNo,
       "device.npu.model: predicate 9 is not known to this version"},
      {{{"input.0.rank", 9, {"1"}}}, kNo, "input.0.rank: predicate 9 is not known to this version"},
  });
}

TEST_CASE("a vendor's string is compared where the host has one, and else shown", "[select]") {
  CheckRows({
      {{{"vendor.openvino", kVendor, {"cpu;avx2"}}}, kYes, ""},
      {{{"vendor.openvino", kVendor, {"cpu;avx512"}}},
       kNo,
       "vendor.openvino: the host has cpu;avx2, expected cpu;avx512"},
      {{{"vendor.qnn", kVendor, {"soc=43"}}},
       kYes,
       "vendor.qnn: only the vendor's plug-in reads \"soc=43\""},
      {{{"vendor.qnn", kVendor, {"soc=43"}}, {"npu", kEquals, {"v73"}}},
       kNone,
       "npu: not known of the host, expected v73"},
  });
}

Partition Declared() {
  Partition partition;
  partition.inputs = {
      {"x", manifest::ValueRole::kActivation, 1, true, {{-1, "n"}, {384, ""}}, {}, {}},
      {"mask", manifest::ValueRole::kActivation, 1, false, {}, {}, {}}};
  return partition;
}

TEST_CASE("ranges of shapes are judged by every shape that is declared", "[select]") {
  const Partition partition = Declared();
  CheckRows(
      {
          {{{"input.0.dim.1", kEquals, {"384"}}}, kYes, ""},
          {{{"input.0.dim.1", kInRange, {">=1", "<=512"}}}, kYes, ""},
          {{{"input.0.dim.1", kMultipleOf, {"64"}}}, kYes, ""},
          {{{"input.0.rank", kEquals, {"2"}}}, kYes, ""},
          {{{"input.0.dim.1", kInRange, {"<=256"}}},
           kNo,
           "input.0.dim.1: dimension 1 of x is 384, the code takes <=256"},
          {{{"input.0.dim.1", kMultipleOf, {"256"}}},
           kNo,
           "input.0.dim.1: dimension 1 of x is 384, the code takes a multiple of 256"},
          {{{"input.0.rank", kOneOf, {"3", "4"}}},
           kNo,
           "input.0.rank: the rank of x is 2, the code takes one of 3, 4"},
          // Open dimensions may be any number from 0.
          {{{"input.0.dim.0", kInRange, {">=0"}}}, kYes, ""},
          {{{"input.0.dim.0", kInRange, {">-1", "!=-1"}}}, kYes, ""},
          {{{"input.0.dim.0", kAtLeast, {"0"}}}, kYes, ""},
          {{{"input.0.dim.0", kMultipleOf, {"1"}}}, kYes, ""},
          {{{"input.0.dim.0", kInRange, {">=0", "<=512"}}},
           kNo,
           "input.0.dim.0: dimension 0 of x is known at run time only, the code takes >=0, <=512"},
          {{{"input.0.dim.0", kInRange, {">=1"}}},
           kNo,
           "input.0.dim.0: dimension 0 of x is known at run time only, the code takes >=1"},
          {{{"input.1.rank", kEquals, {"4"}}},
           kNo,
           "input.1.rank: the rank of mask is known at run time only, the code takes 4"},
          {{{"input.1.dim.3", kMultipleOf, {"8"}}},
           kNo,
           "input.1.dim.3: dimension 3 of mask is known at run time only, the code takes a "
           "multiple "
           "of 8"},
          {{{"input.2.rank", kEquals, {"4"}}}, kNo, "input.2.rank: the partition has 2 inputs"},
          {{{"input.0.dim.2", kEquals, {"4"}}}, kNo, "input.0.dim.2: x has 2 dimensions"},
          {{Preferred({"input.0.dim.1", kMultipleOf, {"256"}})},
           kSoft,
           "a new compile would be better: input.0.dim.1: dimension 1 of x is 384, the code takes "
           "a "
           "multiple of 256"},
      },
      &partition);
  for (const char* key :
       {"input.", "input.x.rank", "input.0", "input.0.dim", "input.0.dim.", "input.0.dim.1.2",
        "input.0.dims.1", "input.-1.rank", "input.99999999999999999999999.rank"}) {
    CheckRows({{{{key, kEquals, {"1"}}}, kNo, std::string(key) + ": is no property of an input"}},
              &partition);
  }
}

TEST_CASE("shapes can be judged without a host", "[select]") {
  const Partition partition = Declared();
  std::string detail;
  CHECK(JudgeShapes({{"arch", kEquals, {"vax"}}}, partition, &detail) == kYes);
  CHECK(JudgeShapes({{"arch", kEquals, {"vax"}}, {"input.0.dim.1", kEquals, {"1"}}}, partition,
                    &detail) == kNo);
  CHECK(detail == "input.0.dim.1: dimension 1 of x is 384, the code takes 1");
  CHECK(JudgeShapes({{"input.0.dim.1", 77, {"1"}}}, partition, nullptr) == kNo);
}

TEST_CASE("all requirements must be met, none means any machine", "[select]") {
  CHECK(Judge({}, HostProfile(), nullptr) == Verdict::kOptimal);
  CheckRows({{{{"arch", kEquals, {"x86_64"}}, {"os", kEquals, {"qnx"}}},
              kNo,
              "os: the host has linux, expected qnx"}});
}

TEST_CASE("control characters of a package do not reach the detail", "[select][hostile]") {
  const Partition partition = Declared();
  for (const uint32_t predicate : {kEquals, kContainsAll, kInRange, kVersion, kVendor, 77u}) {
    for (const char* key : {"a\x1b[2J", "arch", "library.openvino", "cpu.count", "device.\x1b.x",
                            "device.gpu.\x1b", "input.\x1b", "input.0.dim.0", "vendor.\x1b"}) {
      std::string detail;
      (void)Judge({{key, predicate, {"\n\x1b"}}}, Host(), &partition, &detail);
      CHECK(detail.find('\x1b') == std::string::npos);
      CHECK(detail.find('\n') == std::string::npos);
    }
  }
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
