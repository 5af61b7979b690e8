// What the driver does with calls: hard numbers, odd shapes, wrong shapes, several callers.
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#include "cpu_attention/check.h"
#include "cpu_attention/compiler_plugin.h"
#include "cpu_attention/emulated.h"
#include "driver/driver.h"

namespace backendctx::cpu_attention::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLowest = -3.4028235e38F;

// The widest target of this machine's that the driver takes, compiled once per problem.
Blob CompileHere(const Problem& problem, const Options& options = {}) {
  for (const char* target : {"x86-64-v4", "x86-64-v3", "aarch64"}) {
    const Compiled compiled = Compile(CompilerPlugin(), problem, target, options);
    REQUIRE(compiled.message == "");
    if (Runner(*DriverPlugin(), compiled.blob).load_code() == BCTX_OK) return compiled.blob;
  }
  FAIL("no target of this compiler runs here");
  return {};
}

// Runs on every target that this machine has, and on aarch64 under qemu.
void CheckEverywhere(const Problem& problem, Inputs inputs) {
  for (const char* target : {"x86-64-v4", "x86-64-v3"}) {
    const Compiled compiled = Compile(CompilerPlugin(), problem, target);
    INFO(target);
    REQUIRE(compiled.message == "");
    Runner runner(*DriverPlugin(), compiled.blob);
    if (runner.load_code() == BCTX_INCOMPATIBLE) continue;
    bctx_code code = BCTX_OK;
    const std::vector<float> y = runner.Run(problem, inputs, 2, &code);
    REQUIRE(runner.message() == "");
    CHECK(Check(problem, inputs, y) == "");
  }
  if (!EmulatorMissing().empty()) {
    WARN("not run on aarch64: " << EmulatorMissing());
    return;
  }
  INFO("aarch64");
  const Compiled compiled = Compile(CompilerPlugin(), problem, "aarch64");
  std::string error;
  const auto outputs = RunEmulated(compiled.blob, {inputs}, &error);
  REQUIRE(error == "");
  CHECK(Check(problem, inputs, outputs[0]) == "");
}

Inputs Simple(const Problem& problem, int64_t queries, int64_t keys, float size = 1) {
  Random random(11);
  std::vector<std::vector<int64_t>> dims(problem.masks.size(), {1, 1, queries, keys});
  return MakeInputs(problem, random, 1, queries, keys, size, dims);
}

}  // namespace

TEST_CASE("rows masked with minus infinity are zero or nan as asked", "[run]") {
  for (bctx_masked_row rule : {BCTX_MASKED_ROW_ZERO, BCTX_MASKED_ROW_NAN}) {
    for (bctx_mask_kind kind : {BCTX_MASK_ADD, BCTX_MASK_KEEP}) {
      Problem problem;
      problem.masked_row = rule;
      problem.masks = {kind};
      Inputs in = Simple(problem, 30, 200);
      for (size_t i = 0; i < 30 * 200; ++i) {
        const bool masked = (i / 200) % 3 == 0 || i % 200 < 100;  // whole rows and whole tiles
        if (kind == BCTX_MASK_ADD) {
          in.masks[0].floats[i] = masked ? -kInfinity : 0.5F;
        } else {
          in.masks[0].bools[i] = masked ? 0 : 1;
        }
      }
      CheckEverywhere(problem, in);
    }
  }
}

TEST_CASE("a guarded row with nan or infinity among its scores gives zeros times v", "[run]") {
  for (bctx_masked_row rule : {BCTX_MASKED_ROW_ZERO, BCTX_MASKED_ROW_NAN}) {
    for (Layout v : {Layout::kBhsd, Layout::kBhds}) {
      Problem problem;
      problem.masked_row = rule;
      problem.v = v;
      problem.masks = {BCTX_MASK_ADD};
      Inputs in = Simple(problem, 40, 200);
      in.masks[0].floats[3 * 200 + 150] = kNan;
      in.masks[0].floats[20 * 200] = kInfinity;
      in.masks[0].floats[39 * 200 + 199] = kInfinity;
      std::fill_n(in.masks[0].floats.begin() + 7 * 200, 200, -kInfinity);
      in.masks[0].floats[7 * 200 + 50] = kNan;
      std::fill_n(in.masks[0].floats.begin() + 11 * 200, 200, -kInfinity);
      CheckEverywhere(problem, in);
      // What zeros do not hide: a column of V with nan or infinity, wherever its key stands.
      in.v.floats[5] = kNan;
      in.v.floats[in.v.floats.size() - 3] = kNan;
      CheckEverywhere(problem, in);
    }
  }
}

TEST_CASE("where the bias decides, nan among the scores is nan", "[run]") {
  Problem problem;
  problem.masked_row = BCTX_MASKED_ROW_ZERO_BIAS;
  problem.masks = {BCTX_MASK_ADD};
  Inputs in = Simple(problem, 20, 70);
  in.masks[0].floats[3 * 70 + 60] = kNan;
  in.masks[0].floats[9 * 70] = kInfinity;
  CheckEverywhere(problem, in);
}

TEST_CASE("where the bias decides, the lowest the lowest value masks as minus infinity does",
          "[run]") {
  Problem problem;
  problem.masks = {BCTX_MASK_ADD};
  Inputs lowest = Simple(problem, 30, 200);
  for (size_t i = 0; i < lowest.masks[0].floats.size(); ++i) {
    const bool masked = (i / 200) % 3 == 0 || i % 200 < 100;
    lowest.masks[0].floats[i] = masked ? kLowest : 0.5F;
  }
  Inputs infinite = lowest;
  for (float& addend : infinite.masks[0].floats) {
    if (addend == kLowest) addend = -kInfinity;
  }
  const auto run = [](const Problem& of, Inputs in) {
    const Blob blob = CompileHere(of);
    Runner runner(*DriverPlugin(), blob);
    bctx_code code = BCTX_OK;
    return runner.Run(of, in, 1, &code);
  };
  problem.masked_row = BCTX_MASKED_ROW_ZERO_BIAS;
  const std::vector<float> by_bias = run(problem, lowest);
  problem.masked_row = BCTX_MASKED_ROW_ZERO;
  CHECK(by_bias == run(problem, infinite));
  CHECK(by_bias != run(problem, lowest));
}

TEST_CASE("a row masked with the finite value attends to all keys alike", "[run]") {
  Problem problem;
  problem.masks = {BCTX_MASK_ADD};
  Inputs in = Simple(problem, 9, 150);
  for (size_t i = 0; i < in.masks[0].floats.size(); ++i) {
    in.masks[0].floats[i] = i / 150 < 4 || i % 150 > 70 ? kLowest : 0.F;
  }
  CheckEverywhere(problem, in);
  // Row 0 is the plain mean.
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  bctx_code code = BCTX_OK;
  const std::vector<float> y = runner.Run(problem, in, 1, &code);
  double mean = 0;
  for (size_t j = 0; j < 150; ++j) mean += in.v.floats[j * 64] / 150.0;
  CHECK(y[0] == Approx(mean).margin(1e-6));
}

TEST_CASE("bool masks drop keys by a finite number where the model does", "[run]") {
  for (bctx_mask_kind kind : {BCTX_MASK_KEEP, BCTX_MASK_DROP}) {
    for (float fill : {-kInfinity, kLowest, -2.F}) {
      Problem problem;
      problem.masks = {kind, BCTX_MASK_ADD};
      problem.fill = fill;
      Inputs in = Simple(problem, 30, 200);
      for (size_t i = 0; i < 30 * 200; ++i) {
        const bool masked = (i / 200) % 3 == 0 || i % 200 < 100;  // whole rows and whole tiles
        in.masks[0].bools[i] = masked == (kind == BCTX_MASK_DROP) ? 1 : 0;
        in.masks[1].floats[i] = i % 7 == 0 ? 0.5F : 0.F;
      }
      CheckEverywhere(problem, in);
      // The other way round: what the sum closes, a finite fill opens again.
      std::swap(problem.masks[0], problem.masks[1]);
      std::swap(in.masks[0], in.masks[1]);
      for (size_t i = 0; i < 30 * 200; ++i) {
        in.masks[0].floats[i] = i % 200 < 100 ? 0.5F : -kInfinity;
        in.masks[1].bools[i] = (i % 200 >= 150) == (kind == BCTX_MASK_DROP) ? 1 : 0;
      }
      CheckEverywhere(problem, in);
    }
  }
}

TEST_CASE("where there is one head, a mask of rank 3 is batch, query and key", "[run]") {
  for (bctx_mask_kind kind : {BCTX_MASK_ADD, BCTX_MASK_DROP}) {
    for (int64_t rows : {int64_t{1}, int64_t{20}}) {
      Problem problem;
      problem.q_heads = problem.kv_heads = 1;
      problem.masks = {kind};
      Random random(5);
      CheckEverywhere(problem, MakeInputs(problem, random, 3, 20, 70, 1, {{3, rows, 70}}));
    }
  }
}

TEST_CASE("a padding mask written out for every query is right, as is one with one odd row",
          "[run]") {
  for (bctx_mask_kind kind : {BCTX_MASK_ADD, BCTX_MASK_KEEP}) {
    Problem problem;
    problem.masks = {kind};
    const int64_t queries = 60, keys = 150;
    Random random(5);
    Inputs in = MakeInputs(problem, random, 2, queries, keys, 1, {{2, 1, queries, keys}});
    for (int64_t i = 0; i < 2 * queries * keys; ++i) {
      // Batch 0 keeps all, batch 1 is padded.
      const bool keep = i < queries * keys || i % keys < 130;
      if (kind == BCTX_MASK_ADD) in.masks[0].floats[static_cast<size_t>(i)] = keep ? 0 : kLowest;
      if (kind == BCTX_MASK_KEEP) in.masks[0].bools[static_cast<size_t>(i)] = keep ? 1 : 0;
    }
    CheckEverywhere(problem, in);
    const auto odd = static_cast<size_t>(2 * queries * keys - keys + 3);
    if (kind == BCTX_MASK_ADD) in.masks[0].floats[odd] = -1;
    if (kind == BCTX_MASK_KEEP) in.masks[0].bools[odd] = 0;
    CheckEverywhere(problem, in);
  }
}

TEST_CASE("two finite masks sum to minus infinity as floats do", "[run]") {
  Problem problem;
  problem.masks = {BCTX_MASK_ADD, BCTX_MASK_ADD};
  Inputs in = Simple(problem, 5, 20);
  in.masks[0].floats.assign(100, kLowest);
  in.masks[1].floats.assign(100, kLowest);
  for (size_t i = 40; i < 60; ++i) in.masks[1].floats[i] = 0;
  CheckEverywhere(problem, in);
}

TEST_CASE("logits of ten thousand neither overflow nor lose the largest", "[run]") {
  Problem problem;
  problem.scale = 1;
  Inputs in = Simple(problem, 40, 130, 12.5F);
  CheckEverywhere(problem, in);
  for (float& x : in.q.floats) x = 1e18F * x;
  for (float& x : in.k.floats) x = 1e18F * x;
  CheckEverywhere(problem, in);
}

TEST_CASE("scores that overflow to infinity give what plain softmax gives", "[run]") {
  Problem problem;
  problem.scale = 1;
  Inputs in = Simple(problem, 3, 40);
  for (size_t d = 0; d < 64; ++d) {
    in.q.floats[d] = 1e20F;                    // row 0
    in.k.floats[d] = -1e20F;                   // key 0: score -inf
    in.k.floats[64 + d] = d == 0 ? 1.F : 0.F;  // key 1: large
  }
  CheckEverywhere(problem, in);
  for (size_t d = 0; d < 64; ++d) in.k.floats[d] = 1e20F;  // +inf: the row is nan
  CheckEverywhere(problem, in);
}

TEST_CASE("subnormal inputs and weights are right", "[run]") {
  Problem problem;
  Inputs in = Simple(problem, 10, 100, 1e-21F);
  for (float& x : in.v.floats) x *= 1e-38F;
  CheckEverywhere(problem, in);
  // Weights around the smallest normal number: e^-80 to e^-110.
  problem.masks = {BCTX_MASK_ADD};
  in = Simple(problem, 10, 100);
  for (size_t i = 0; i < in.masks[0].floats.size(); ++i) {
    in.masks[0].floats[i] = i % 100 == 0 ? 0.F : -80.F - 0.3F * static_cast<float>(i % 100);
  }
  for (size_t d = 0; d < 64; ++d) in.v.floats[d] = 0;
  CheckEverywhere(problem, in);
}

TEST_CASE("nan spreads to the rows that meet it and no further", "[run]") {
  Problem problem;
  problem.masks = {BCTX_MASK_KEEP};
  Inputs in = Simple(problem, 30, 120);
  in.q.floats[5 * 64 + 3] = kNan;
  in.masks[0].bools.assign(in.masks[0].bools.size(), 1);
  CheckEverywhere(problem, in);
  in.v.floats[7 * 64 + 1] = kNan;  // one channel of head 0
  CheckEverywhere(problem, in);
  // A key that is masked by choice, not by sum, brings no nan in.
  in = Simple(problem, 30, 120);
  in.k.floats[9 * 64] = kNan;
  for (size_t i = 0; i < in.masks[0].bools.size(); ++i) in.masks[0].bools[i] = i % 120 != 9;
  CheckEverywhere(problem, in);
  // A nan with a payload.
  uint32_t bits = 0x7fc00001;
  float payload = 0;
  std::memcpy(&payload, &bits, 4);
  in.q.floats[2 * 64] = payload;
  CheckEverywhere(problem, in);
}

TEST_CASE("blocks of keys that a mask closes are left out", "[run]") {
  // Keys 48 to 63 are closed for every row; a nan in them shows whether they were read.
  const int64_t rows = 30, keys = 64, open = 48;
  for (const float closing : {-kInfinity, kLowest, -1e30F}) {
    for (const bool per_row : {true, false}) {
      INFO("closing " << closing << ", " << (per_row ? "a row for each query" : "one row"));
      Problem problem;
      problem.masks = {BCTX_MASK_ADD};
      Random random(12);
      Inputs in = MakeInputs(problem, random, 1, rows, keys, 1, {{1, 1, per_row ? rows : 1, keys}});
      for (size_t i = 0; i < in.masks[0].floats.size(); ++i) {
        const bool closed = static_cast<int64_t>(i) % keys >= open;
        in.masks[0].floats[i] = closed ? closing : 0.25F * random.Uniform();
      }
      const std::vector<float> honest = Honest(problem, in, 0);
      for (Tensor* tensor : {&in.k, &in.v}) {
        for (size_t i = 0; i < tensor->floats.size(); ++i) {
          if (static_cast<int64_t>(i) / 64 % keys >= open) tensor->floats[i] = kNan;
        }
      }
      const Blob blob = CompileHere(problem, {{"kv-block", "16"}});
      Runner runner(*DriverPlugin(), blob);
      bctx_code code = BCTX_OK;
      const std::vector<float> y = runner.Run(problem, in, 1, &code);
      REQUIRE(y.size() == honest.size());
      for (size_t i = 0; i < y.size(); ++i) {
        if (closing == -1e30F) {  // masks, but not beyond doubt
          REQUIRE(std::isnan(y[i]));
        } else {
          REQUIRE(std::abs(y[i] - honest[i]) < 1e-5F);
        }
      }
    }
  }
}

TEST_CASE("a nan in a mask is not taken for a closed key", "[run]") {
  for (const uint32_t bits : {0x7fc00000U, 0xffc00000U, 0xff800001U, 0xffffffffU}) {
    float nan = 0;
    std::memcpy(&nan, &bits, 4);
    Problem problem;
    problem.masks = {BCTX_MASK_ADD};
    Inputs in = Simple(problem, 30, 200);
    for (size_t i = 0; i < in.masks[0].floats.size(); ++i) {
      in.masks[0].floats[i] = i % 200 < 64 ? 0.F : -kInfinity;
    }
    in.masks[0].floats[7 * 200 + 150] = nan;
    CheckEverywhere(problem, in);
  }
}

TEST_CASE("one key gives exactly its value", "[run]") {
  const Problem problem;
  Inputs in = Simple(problem, 50, 1, 30.F);
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  bctx_code code = BCTX_OK;
  const std::vector<float> y = runner.Run(problem, in, 1, &code);
  for (size_t h = 0; h < 2; ++h) {
    for (size_t i = 0; i < 50 * 64; ++i) {
      REQUIRE(y[h * 50 * 64 + i] == in.v.floats[h * 64 + i % 64]);
    }
  }
}

TEST_CASE("the exponential alone is within two units in the last place", "[run]") {
  // Two keys, values 0 and 1, scores 0 and x: y = e^x / (1 + e^x), relative error and all.
  Problem problem;
  problem.q_heads = problem.kv_heads = 1;
  problem.qk_head_size = problem.v_head_size = 32;
  problem.scale = 1;
  const int64_t rows = 8800;
  Inputs in = Simple(problem, rows, 2);
  in.q.floats.assign(in.q.floats.size(), 0);
  in.k.floats.assign(in.k.floats.size(), 0);
  in.v.floats.assign(in.v.floats.size(), 0);
  in.k.floats[32] = 1;
  for (size_t d = 0; d < 32; ++d) in.v.floats[32 + d] = 1;
  for (int64_t i = 0; i < rows; ++i) {
    in.q.floats[static_cast<size_t>(i * 32)] = -0.01F * static_cast<float>(i) - 0.0037F;
  }
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  bctx_code code = BCTX_OK;
  const std::vector<float> y = runner.Run(problem, in, 1, &code);
  double worst = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double x = in.q.floats[static_cast<size_t>(i * 32)];
    const double found = y[static_cast<size_t>(i * 32)];
    if (x < -87.3366) {
      REQUIRE(found == 0);  // not a denormal
    } else {
      const double truth = std::exp(x) / (1 + std::exp(x));
      // log2(e) as a float costs |x| * 1.3e-8.
      const double allowed = 2.5e-7 + 1.4e-8 * std::abs(x);
      worst = std::max(worst, std::abs(found / truth - 1) / allowed);
    }
  }
  CHECK(worst <= 1);
}

TEST_CASE("empty tensors give empty or zero outputs", "[run]") {
  Problem problem;
  problem.masked_row = BCTX_MASKED_ROW_NAN;
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  bctx_code code = BCTX_OK;
  Inputs in = Simple(problem, 0, 20);
  CHECK(runner.Run(problem, in, 2, &code).empty());
  CHECK(runner.message() == "");
  in = Simple(problem, 3, 0);
  const std::vector<float> y = runner.Run(problem, in, 2, &code);
  REQUIRE(runner.message() == "");
  CHECK(y == std::vector<float>(3 * 2 * 64, 0.F));
}

TEST_CASE("operands that do not fit together are refused by name", "[run]") {
  Problem problem;
  problem.q = Layout::kPacked;
  problem.masks = {BCTX_MASK_ADD};
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  auto message = [&](const std::function<void(Inputs&)>& change) {
    Inputs in = Simple(problem, 6, 10);
    change(in);
    bctx_code code = BCTX_OK;
    runner.Run(problem, in, 1, &code);
    CHECK(code == BCTX_INVALID_ARGUMENT);
    return runner.message();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(message([](Inputs& in) { in.q.dims = {1, 6, 64}; }), Contains("head count of q"));
  CHECK_THAT(message([](Inputs& in) { in.q.dims = {1, 6, 100}; }), Contains("whole heads of 64"));
  CHECK_THAT(message([](Inputs& in) { in.q.dims = {6, 128}; }), Contains("rank 2, expected 3"));
  CHECK_THAT(message([](Inputs& in) { in.q.type = kBool; }), Contains("element type 9"));
  CHECK_THAT(message([](Inputs& in) { in.k.dims[0] = 2; }), Contains("batch of k"));
  CHECK_THAT(message([](Inputs& in) { in.v.dims[2] = 9; }), Contains("length of v"));
  CHECK_THAT(message([](Inputs& in) { in.v.dims[1] = 1; }), Contains("head count of v"));
  CHECK_THAT(message([](Inputs& in) { in.k.dims[3] = 32; }), Contains("expected 64 on axis 3"));
  CHECK_THAT(message([](Inputs& in) { in.k.dims[2] = -1; }), Contains("shape [1,2,-1,64]"));
  CHECK_THAT(message([](Inputs& in) { in.k.dims[2] = int64_t{1} << 60; }), Contains("shape"));
  CHECK_THAT(message([](Inputs& in) { in.masks[0].dims = {1, 1, 6, 9}; }), Contains("broadcast"));
  CHECK_THAT(message([](Inputs& in) { in.masks[0].dims = {1, 1, 1, 6, 10}; }), Contains("rank 5"));
  CHECK_THAT(message([](Inputs& in) { in.masks[0].type = kBool; }), Contains("mask 0"));
  CHECK_THAT(message([](Inputs& in) { in.masks.clear(); }), Contains("3 inputs"));
}

TEST_CASE("one kernel serves several callers at once", "[run]") {
  Problem problem;
  problem.causal = true;
  const Blob blob = CompileHere(problem);
  Runner first(*DriverPlugin(), blob);
  Inputs in = Simple(problem, 130, 130);
  bctx_code code = BCTX_OK;
  const std::vector<float> expected = first.Run(problem, in, 1, &code);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      Inputs mine = Simple(problem, 130, 130);
      for (int i = 0; i < 20; ++i) {
        bctx_code done = BCTX_OK;
        std::string message;
        const std::vector<float> y =
            RunKernel(*DriverPlugin(), first.kernel(), problem, mine, 3, &done, &message);
        if (y != expected) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a fresh process with the driver plug-in gives the same bytes", "[run]") {
  Problem problem;
  problem.masks = {BCTX_MASK_KEEP};
  const Blob blob = CompileHere(problem);
  Runner runner(*DriverPlugin(), blob);
  Inputs in = Simple(problem, 33, 65);
  bctx_code code = BCTX_OK;
  const std::vector<float> here = runner.Run(problem, in, 1, &code);
  std::string error;
  const auto there = RunFresh(blob, {in, in}, &error);
  REQUIRE(error == "");
  CHECK(there[0] == here);
  CHECK(there[1] == here);
  Blob broken = blob;
  broken.bytes[0] ^= 1;
  RunFresh(broken, {in}, &error);
  CHECK_THAT(error, Catch::Matchers::Contains("exit 1") &&
                        Catch::Matchers::Contains("blob is no elf file"));
}

}  // namespace backendctx::cpu_attention::test
