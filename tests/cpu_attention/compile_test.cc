// What the compiler takes, refuses and returns.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <thread>

#include "cpu_attention/case.h"
#include "cpu_attention/compiler_plugin.h"
#include "driver/driver.h"
#include "driver/elf_image.h"

namespace backendctx::cpu_attention::test {
namespace {

const char* const kTargets[] = {"x86-64-v3", "x86-64-v4", "aarch64"};

Problem LargestProblem() {
  Problem problem;
  problem.qk_head_size = problem.v_head_size = 128;
  problem.causal = true;
  problem.softcap = 50;
  problem.masks = {BCTX_MASK_ADD, BCTX_MASK_KEEP};
  problem.scale = 0.3F;
  return problem;
}

void Refused(const char* message, bctx_code code, const std::function<void(Problem&)>& change) {
  Problem problem;
  REQUIRE(Compile(CompilerPlugin(), problem, "x86-64-v3").message == "");
  change(problem);
  const Compiled compiled = Compile(CompilerPlugin(), problem, "x86-64-v3");
  CHECK(compiled.code == code);
  CHECK_THAT(compiled.message, Catch::Matchers::Contains(message));
}

}  // namespace

TEST_CASE("each blob is sound, small and quickly made", "[compile]") {
  for (const char* target : kTargets) {
    for (const Problem& problem : {Problem{}, LargestProblem()}) {
      const auto start = std::chrono::steady_clock::now();
      const Compiled compiled = Compile(CompilerPlugin(), problem, target);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      REQUIRE(compiled.message == "");
      ElfImage image;
      CHECK(ParseElf(compiled.blob.bytes.data(), compiled.blob.bytes.size(),
                     compiled.blob.entry.c_str(), kMinPage, &image)
                .message == "");
      CHECK(compiled.blob.bytes.size() <= 65536);
      CHECK(image.relocations.empty());
      CHECK(std::none_of(image.segments.begin(), image.segments.end(),
                         [](const ElfSegment& segment) { return segment.write; }));
      std::printf("%s: %zu bytes in %.0f ms\n", target, compiled.blob.bytes.size(),
                  seconds.count() * 1e3);
    }
  }
}

TEST_CASE("the same partition gives the same bytes again", "[compile]") {
  for (const char* target : kTargets) {
    const Blob first = Compile(CompilerPlugin(), LargestProblem(), target).blob;
    Compile(CompilerPlugin(), Problem{}, target);
    const Blob second = Compile(CompilerPlugin(), LargestProblem(), target).blob;
    CHECK(first.bytes == second.bytes);
    CHECK(first.options == second.options);
  }
}

TEST_CASE("a blob states what its code needs and what was in force", "[compile]") {
  const Blob v3 = Compile(CompilerPlugin(), Problem{}, "x86-64-v3").blob;
  const Blob v4 = Compile(CompilerPlugin(), Problem{}, "x86-64-v4").blob;
  const Blob arm = Compile(CompilerPlugin(), Problem{}, "aarch64").blob;
  auto has = [](const Blob& blob, const char* feature) {
    return std::find(blob.features.begin(), blob.features.end(), feature) != blob.features.end();
  };
  for (const char* feature : {"avx2", "fma", "f16c", "bmi1", "bmi2"}) {
    CHECK(has(v3, feature));
    CHECK(has(v4, feature));
  }
  for (const char* feature : {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}) {
    CHECK(has(v4, feature));
    CHECK_FALSE(has(v3, feature));
  }
  CHECK(has(arm, "asimd"));
  CHECK(std::is_sorted(v4.features.begin(), v4.features.end()));
  CHECK(std::is_sorted(v3.options.begin(), v3.options.end()));
  CHECK(v3.options.back() == std::pair<std::string, std::string>("target", "x86-64-v3"));
  const Options tuned = {{"kv-block", "24"}, {"q-tiles", "3"}};
  const Blob other = Compile(CompilerPlugin(), Problem{}, "x86-64-v3", tuned).blob;
  CHECK(other.options[0].second == "24");
  CHECK(other.options[1].second == "3");
  // The options in force make the same blob again.
  const Blob again = Compile(CompilerPlugin(), Problem{}, "x86-64-v3", v3.options).blob;
  CHECK(again.bytes == v3.bytes);
}

TEST_CASE("what the compiler does not take is unsupported, with the reason", "[compile]") {
  Refused("head size 24", BCTX_UNSUPPORTED, [](Problem& p) { p.qk_head_size = 24; });
  Refused("head size 36", BCTX_UNSUPPORTED, [](Problem& p) { p.v_head_size = 36; });
  Refused("head size 136", BCTX_UNSUPPORTED, [](Problem& p) { p.qk_head_size = 136; });
  Refused("multiple of the kv heads", BCTX_UNSUPPORTED, [](Problem& p) { p.q_heads = 3; });
  Refused("softcap", BCTX_UNSUPPORTED, [](Problem& p) { p.softcap = -1; });
  Refused("scale", BCTX_UNSUPPORTED, [](Problem& p) { p.scale = 1.F / 0.F; });
  Refused("head counts", BCTX_INVALID_ARGUMENT, [](Problem& p) { p.kv_heads = 0; });
  Refused("mask count", BCTX_INVALID_ARGUMENT,
          [](Problem& p) { p.masks = {BCTX_MASK_ADD, BCTX_MASK_ADD, BCTX_MASK_ADD}; });
  Refused("expected a negative number", BCTX_UNSUPPORTED, [](Problem& p) {
    p.masks = {BCTX_MASK_KEEP};
    p.fill = 0;
  });
  const Compiled target = Compile(CompilerPlugin(), Problem{}, "riscv64");
  CHECK(target.code == BCTX_INVALID_ARGUMENT);
  CHECK_THAT(target.message, Catch::Matchers::Contains("riscv64"));
}

TEST_CASE("declared shapes that fit compile, those that contradict each other do not",
          "[compile]") {
  auto declare = [](std::vector<std::vector<int64_t>> shapes) {
    return [shapes](Problem& p) {
      p.q = Layout::kPacked;
      p.masks = {BCTX_MASK_ADD};
      p.declared = shapes;
    };
  };
  Problem fits;
  declare({{-1, 7, 128}, {3, 2, -1, 64}, {3, 2, 9, 64}, {3, 1, 7, 9}, {3, 2, 7, 64}})(fits);
  CHECK(Compile(CompilerPlugin(), fits, "x86-64-v3").message == "");
  declare({{-1, -1, 128}, {-1, 2, -1, 64}, {-1, 2, -1, 64}, {1, 1, -1}, {-1, 2, -1, 64}})(fits);
  CHECK(Compile(CompilerPlugin(), fits, "x86-64-v3").message == "");
  Refused("operand k has 3 on axis 1, expected 2", BCTX_UNSUPPORTED, declare({{}, {1, 3, 5, 64}}));
  Refused("operand v has 6 on axis 2, expected 5", BCTX_UNSUPPORTED,
          declare({{}, {1, 2, 5, 64}, {1, 2, 6, 64}}));
  Refused("operand q has 192 on axis 2, expected 128", BCTX_UNSUPPORTED, declare({{1, 5, 192}}));
  Refused("operand q has 100 channels", BCTX_UNSUPPORTED, [&](Problem& p) {
    declare({{1, 5, 100}})(p);
    p.heads_at_run_time = true;
  });
  Refused("mask 0 has 4 on axis 1, expected 1 or 5", BCTX_UNSUPPORTED,
          declare({{}, {1, 2, 5, 64}, {}, {7, 4}}));
  Refused("operand y has 32 on axis 3, expected 64", BCTX_UNSUPPORTED,
          declare({{}, {}, {}, {}, {1, 2, 5, 32}}));
}

TEST_CASE("several threads compile at once and get the same bytes", "[compile]") {
  const Blob expected = Compile(CompilerPlugin(), Problem{}, "aarch64").blob;
  std::vector<Blob> blobs(3);
  std::vector<std::thread> threads;
  for (Blob& blob : blobs) {
    threads.emplace_back([&blob] { blob = Compile(CompilerPlugin(), Problem{}, "aarch64").blob; });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Blob& blob : blobs) CHECK(blob.bytes == expected.bytes);
}

TEST_CASE("a wrong option is refused by name", "[compile]") {
  auto message = [](const char* key, const char* value) {
    const Compiled compiled = Compile(CompilerPlugin(), Problem{}, "x86-64-v3", {{key, value}});
    CHECK(compiled.code == BCTX_INVALID_ARGUMENT);
    return compiled.message;
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(message("speed", "9"), Contains("'speed' is not known"));
  CHECK_THAT(message("kv-block", "12"), Contains("multiple of 8"));
  CHECK_THAT(message("kv-block", "-8"), Contains("kv-block"));
  CHECK_THAT(message("kv-block", "99999999999999"), Contains("kv-block"));
  CHECK_THAT(message("q-tiles", "0"), Contains("q-tiles"));
  CHECK_THAT(message("target", "aarch64"), Contains("request's target"));
}

TEST_CASE("no bit of a compiled blob can mislead the driver into a crash", "[hostile]") {
  const Blob blob = Compile(CompilerPlugin(), LargestProblem(), "x86-64-v3").blob;
  ElfImage image;
  REQUIRE(ParseElf(blob.bytes.data(), blob.bytes.size(), blob.entry.c_str(), kMinPage, &image)
              .message == "");
  size_t refused = 0, accepted = 0;
  std::vector<uint8_t> bytes = blob.bytes;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto flip = static_cast<uint8_t>(1U << (bit % 8));
    bytes[bit / 8] ^= flip;
    ElfImage other;
    const Outcome outcome =
        ParseElf(bytes.data(), bytes.size(), blob.entry.c_str(), kMinPage, &other);
    bytes[bit / 8] ^= flip;
    refused += outcome.ok() ? 0 : 1;
    accepted += outcome.ok() ? 1 : 0;
    if (!outcome.ok()) REQUIRE(outcome.code == BCTX_MALFORMED);
    // The kernel stays inside the code whatever is flipped.
    if (outcome.ok()) REQUIRE(other.kernel >= image.segments.back().address);
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    ElfImage other;
    REQUIRE(ParseElf(bytes.data(), size, blob.entry.c_str(), kMinPage, &other).code ==
            BCTX_MALFORMED);
  }
  std::printf(
      "%zu flipped bits of a compiled blob: %zu refused, %zu in code and numbers; %zu "
      "truncations refused\n",
      bytes.size() * 8, refused, accepted, bytes.size());
}

TEST_CASE("a dump folder receives plan, ir, assembly and object", "[compile]") {
  std::string pattern = (std::filesystem::temp_directory_path() / "bctx-dump-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  const std::filesystem::path folder = pattern;
  for (const char* target : kTargets) {
    REQUIRE(Compile(CompilerPlugin(), LargestProblem(), target, {}, folder.c_str()).message == "");
    for (const char* suffix : {".plan", ".ll", ".s", ".o"}) {
      const auto path = folder / (std::string("attention-") + target + suffix);
      INFO(path.string());
      CHECK(std::filesystem::file_size(path) > 100);
    }
  }
  std::filesystem::remove_all(folder);
  const Compiled lost = Compile(CompilerPlugin(), Problem{}, "x86-64-v3", {}, folder.c_str());
  CHECK(lost.code == BCTX_INTERNAL);
  CHECK_THAT(lost.message, Catch::Matchers::Contains("cannot write"));
}

}  // namespace backendctx::cpu_attention::test
