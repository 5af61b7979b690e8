// Random problems against a double reference. The yardstick is an honest float implementation in
// three passes: the kernel may be at most twice as far from the truth as that one is.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "cpu_attention/check.h"
#include "cpu_attention/compiler_plugin.h"
#include "cpu_attention/emulated.h"
#include "driver/driver.h"
#include "support/skip.h"

namespace backendctx::cpu_attention::test {
namespace {

bool Long() { return std::getenv("BCTX_TEST_LONG") != nullptr; }

Layout RandomLayout(Random& random) {
  // The layouts that models have, more often than the others.
  const Layout common[] = {Layout::kBhsd, Layout::kBshd, Layout::kPacked};
  const Layout rare[] = {Layout::kSbhd, Layout::kHbsd, Layout::kBhds, Layout::kBsdh};
  return random.Below(3) != 0 ? common[random.Below(3)] : rare[random.Below(4)];
}

Problem RandomProblem(Random& random) {
  Problem p;
  p.q = RandomLayout(random);
  p.k = RandomLayout(random);
  p.v = RandomLayout(random);
  p.y = RandomLayout(random);
  p.kv_heads = 1 + random.Below(3);
  p.q_heads = p.kv_heads * (1 + random.Below(3));
  p.heads_at_run_time = random.Below(4) == 0;
  p.qk_head_size = 32 + 8 * random.Below(13);
  p.v_head_size = random.Below(3) == 0 ? 32 + 8 * random.Below(13) : p.qk_head_size;
  p.scale = random.Below(4) == 0 ? 1.F : 1.F / std::sqrt(static_cast<float>(p.qk_head_size));
  p.causal = random.Below(3) == 0;
  p.softcap = random.Below(6) == 0 ? 5.F : 0.F;
  p.masked_row = random.Below(2) == 0 ? BCTX_MASKED_ROW_ZERO : BCTX_MASKED_ROW_NAN;
  const int64_t masks = random.Below(3);
  for (int64_t i = 0; i < masks; ++i) {
    p.masks.push_back(random.Below(2) == 0 ? BCTX_MASK_ADD : BCTX_MASK_KEEP);
  }
  return p;
}

// Every right-aligned broadcast: rank 1 to 4, each dimension 1 or full.
std::vector<int64_t> RandomMaskDims(Random& random, const Problem& p, int64_t batch,
                                    int64_t queries, int64_t keys) {
  const int64_t full[4] = {batch, p.q_heads, queries, keys};
  std::vector<int64_t> dims;
  for (int64_t axis = random.Below(4); axis < 4; ++axis) {
    const bool whole = axis == 3 ? random.Below(6) != 0 : random.Below(2) == 0;
    dims.push_back(whole ? full[axis] : 1);
  }
  return dims;
}

// Masks a rectangle of rows and keys, in every batch and head: whole tiles of it can be left out.
void CloseKeys(Random& random, Tensor* mask) {
  if (mask->dims.empty()) return;
  const int64_t keys = mask->dims.back();
  const int64_t rows = mask->dims.size() > 1 ? mask->dims[mask->dims.size() - 2] : 1;
  const int64_t first_key = random.Below(keys + 1), first_row = random.Below(rows + 1);
  const int64_t last_key = random.Below(2) == 0 ? keys : random.Below(keys + 1);
  const int64_t last_row = random.Below(2) == 0 ? rows : random.Below(rows + 1);
  const float closed =
      random.Below(2) == 0 ? -std::numeric_limits<float>::infinity() : -3.4028235e38F;
  for (int64_t i = 0; i < mask->elements(); ++i) {
    const int64_t key = i % keys, row = i / keys % rows;
    if (key < first_key || key >= last_key || row < first_row || row >= last_row) continue;
    if (mask->type == kFloat) {
      mask->floats[static_cast<size_t>(i)] = closed;
    } else {
      mask->bools[static_cast<size_t>(i)] = 0;
    }
  }
}

Inputs RandomInputs(Random& random, const Problem& p) {
  const int64_t lengths[] = {1, 2, 3, 7, 8, 9, 16, 23, 24, 25, 31, 47, 48, 49, 64, 65, 96, 97};
  const int64_t batch = 1 + random.Below(2);
  int64_t queries = lengths[random.Below(18)];
  int64_t keys = random.Below(2) == 0 ? queries : lengths[random.Below(18)];
  if (random.Below(12) == 0) queries = 150 + random.Below(150);
  if (random.Below(8) == 0) keys = 90 + random.Below(200);
  std::vector<std::vector<int64_t>> dims;
  for (size_t i = 0; i < p.masks.size(); ++i) {
    dims.push_back(RandomMaskDims(random, p, batch, queries, keys));
  }
  const float sizes[] = {0.1F, 1.F, 1.F, 3.F};
  Inputs inputs = MakeInputs(p, random, batch, queries, keys, sizes[random.Below(4)], dims);
  for (Tensor& mask : inputs.masks) {
    if (random.Below(2) == 0) CloseKeys(random, &mask);
  }
  return inputs;
}

struct Count {
  int partitions, configurations;
};

// Blocks that are small against the lengths put many block edges into each configuration.
Options RandomTuning(Random& random) {
  if (random.Below(2) == 0) return {};
  return {{"kv-block", std::to_string(8 * (1 + random.Below(6)))},
          {"q-tiles", std::to_string(1 + random.Below(3))}};
}

// On the whole the kernel is no worse than the honest float implementation.
void Report(const std::string& target, int configurations, int partitions, const Errors& errors) {
  std::printf("%s: %d configurations of %d partitions, error on average %.2f of the honest one\n",
              target.c_str(), configurations, partitions, errors.Mean());
  CHECK(errors.Mean() < 1.25);
}

void CheckTarget(const std::string& target, uint64_t seed, Count count) {
  const bctx_plugin& compiler = CompilerPlugin();
  Random random(seed);
  Errors errors;
  int done = 0;
  for (int i = 0; i < count.partitions; ++i) {
    const Problem problem = RandomProblem(random);
    const Compiled compiled = Compile(compiler, problem, target, RandomTuning(random));
    INFO(target << " partition " << i << ": " << Describe(problem));
    REQUIRE(compiled.message.empty());
    Runner runner(*DriverPlugin(), compiled.blob);
    if (runner.load_code() == BCTX_INCOMPATIBLE) {
      BCTX_SKIP(target << ": " << runner.message());
    }
    REQUIRE(runner.message().empty());
    for (; done < (i + 1) * count.configurations / count.partitions; ++done) {
      Inputs inputs = RandomInputs(random, problem);
      bctx_code code = BCTX_OK;
      const size_t threads = 1 + static_cast<size_t>(random.Below(3));
      const std::vector<float> y = runner.Run(problem, inputs, threads, &code);
      INFO("configuration " << done << ": " << Describe(inputs));
      REQUIRE(runner.message().empty());
      REQUIRE(Check(problem, inputs, y, &errors) == "");
    }
  }
  Report(target, done, count.partitions, errors);
}

}  // namespace

TEST_CASE("the yardstick takes any order of sums, and refuses four times the error") {
  Problem problem;
  problem.qk_head_size = 128;
  problem.scale = 1;
  Random random(4);
  problem.q_heads = problem.kv_heads = 1;
  for (int i = 0; i < 1000; ++i) {
    const Inputs few = MakeInputs(problem, random, 1, 1, 2, 1, {});
    INFO("configuration " << i);
    REQUIRE(Check(problem, few, Honest(problem, few, 1000 + i)) == "");
  }
  const Inputs many = MakeInputs(problem, random, 1, 64, 64, 3, {});
  const std::vector<double> truth = Truth(problem, many);
  std::vector<float> y = Honest(problem, many, 1000);
  CHECK(Check(problem, many, y) == "");
  for (size_t i = 0; i < y.size(); ++i) {
    y[i] = static_cast<float>(truth[i] + 4 * (y[i] - truth[i]));
  }
  CHECK(Check(problem, many, y) != "");
}

TEST_CASE("random attention is as exact as plain float arithmetic with AVX2", "[reference]") {
  CheckTarget("x86-64-v3", 1, Long() ? Count{600, 20000} : Count{120, 1700});
}

TEST_CASE("random attention is as exact as plain float arithmetic with AVX-512", "[reference]") {
  CheckTarget("x86-64-v4", 2, Long() ? Count{600, 20000} : Count{120, 1700});
}

TEST_CASE("random attention is as exact as plain float arithmetic on aarch64", "[reference]") {
  const std::string missing = EmulatorMissing();
  if (!missing.empty()) BCTX_SKIP("aarch64: " << missing);
  const Count count = Long() ? Count{100, 2000} : Count{30, 300};
  Random random(3);
  Errors errors;
  for (int i = 0; i < count.partitions; ++i) {
    const Problem problem = RandomProblem(random);
    const Compiled compiled = Compile(CompilerPlugin(), problem, "aarch64", RandomTuning(random));
    INFO("partition " << i << ": " << Describe(problem));
    REQUIRE(compiled.message.empty());
    std::vector<Inputs> inputs;
    for (int k = 0; k < count.configurations / count.partitions; ++k) {
      inputs.push_back(RandomInputs(random, problem));
    }
    std::string error;
    const auto outputs = RunEmulated(compiled.blob, inputs, &error);
    REQUIRE(error == "");
    for (size_t k = 0; k < inputs.size(); ++k) {
      INFO("configuration " << k << ": " << Describe(inputs[k]));
      REQUIRE(Check(problem, inputs[k], outputs[k], &errors) == "");
    }
  }
  Report("aarch64", count.configurations, count.partitions, errors);
}

}  // namespace backendctx::cpu_attention::test
