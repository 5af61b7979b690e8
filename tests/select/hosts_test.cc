// The profiles of other machines under samples/hosts, as a build machine judges for them.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "backendctx/selection.h"

namespace backendctx {
namespace {

HostProfile Host(const std::string& name) {
  std::ifstream file(std::string(BCTX_TEST_HOSTS) + "/" + name);
  REQUIRE(file);
  const auto profile = HostProfile::FromJson({std::istreambuf_iterator<char>(file), {}});
  INFO((profile ? "" : profile.error().message()));
  REQUIRE(profile);
  return *profile;
}

using Requirements = std::vector<manifest::Requirement>;
const Requirements kAvx2 = {{"arch", 1, {"x86_64"}}, {"cpu.features", 3, {"avx2", "fma"}}};
const Requirements kNeon = {{"arch", 1, {"aarch64"}}, {"cpu.features", 3, {"asimd"}}};
const Requirements kNpu = {{"device.npu.arch", 1, {"v73"}},
                           {"device.npu.driver", 6, {">=2.30", "<3"}},
                           {"device.npu.memory", 4, {"8388608"}},
                           {"device.npu.model", 2, {"43", "44"}, true},
                           {"vendor.qnn", 8, {"soc_model=43;htp_arch=73;sdk=2.37.1"}}};

TEST_CASE("each machine gets the code that is for it", "[select]") {
  struct Row {
    const char* host;
    Verdict avx2, neon, npu;
  };
  const Verdict yes = Verdict::kOptimal, no = Verdict::kUnsupported, none = Verdict::kNotApplicable;
  for (const Row& row : {Row{"x86-64-v2.json", no, no, none}, Row{"aarch64.json", no, yes, none},
                         Row{"qualcomm-npu.json", no, yes, yes}}) {
    INFO(row.host);
    const HostProfile host = Host(row.host);
    CHECK(Judge(kAvx2, host, nullptr) == row.avx2);
    CHECK(Judge(kNeon, host, nullptr) == row.neon);
    CHECK(Judge(kNpu, host, nullptr) == row.npu);
  }
}

TEST_CASE("an NPU of another generation, driver or size is unsupported and another model runs",
          "[select]") {
  const HostProfile sound = Host("qualcomm-npu.json");
  const auto with = [&](const std::string& fact, HostProfile::Fact value) {
    HostProfile host = sound;
    host.devices.at(1).facts[fact] = std::move(value);
    return Judge(kNpu, host, nullptr);
  };
  CHECK(with("arch", "v79") == Verdict::kUnsupported);
  CHECK(with("driver", "2.29.9") == Verdict::kUnsupported);
  CHECK(with("driver", "3.0") == Verdict::kUnsupported);
  CHECK(with("driver", "3.0rc1") == Verdict::kOptimal);
  CHECK(with("memory", int64_t{8388607}) == Verdict::kUnsupported);
  CHECK(with("model", "69") == Verdict::kRecompilePreferred);
  HostProfile other = sound;
  other.facts["vendor.qnn"] = "soc_model=69";
  CHECK(Judge(kNpu, other, nullptr) == Verdict::kUnsupported);
}

TEST_CASE("every sample of a machine is a profile that survives JSON", "[select]") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BCTX_TEST_HOSTS)) {
    const HostProfile host = Host(entry.path().filename());
    const auto again = HostProfile::FromJson(host.ToJson());
    REQUIRE(again);
    CHECK(again->facts == host.facts);
    CHECK(again->devices == host.devices);
    ++count;
  }
  CHECK(count == 3);
}

}  // namespace
}  // namespace backendctx
