// The bare attention kernel, one thread: useful operations a second and the share of the measured
// multiply-add peak. `bench_attention [--all] [--json] [--threads N] [--only TEXT]
// [--option KEY=VALUE]...`, where TEXT is part of a case's name, such as "full-d64-s1024".
//
// Useful operations: 4 * queries * keys * head size * heads; with a causal mask those pairs that
// attend. Time is the smallest of many runs; processor time of the thread when there is one.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "calibration.h"
#include "cpu_attention/case.h"
#include "cpu_attention/compiler_plugin.h"
#include "driver/driver.h"

namespace backendctx::bench {
namespace {

using namespace cpu_attention;
using namespace cpu_attention::test;

enum class Mask { kNone, kCausal, kPaddingAdd, kPaddingKeep, kFullAdd, kZeroAdd };

const char* Name(Mask mask) {
  switch (mask) {
    case Mask::kNone:
      return "full";
    case Mask::kCausal:
      return "causal";
    case Mask::kPaddingAdd:
      return "padding-float";
    case Mask::kPaddingKeep:
      return "padding-bool";
    case Mask::kFullAdd:
      return "float-matrix";
    case Mask::kZeroAdd:
      return "zero-matrix";
  }
  return "?";
}

bool IsMatrix(Mask mask) { return mask == Mask::kFullAdd || mask == Mask::kZeroAdd; }

struct Arguments {
  bool all = false, json = false;
  size_t threads = 1;
  std::string only;
  Options options;
};

struct Row {
  std::string target, mask, layout;
  int64_t heads, head_size, length;
  double milliseconds, gflops, share;
};

void* GiveOutput(bctx_run* run, size_t, const int64_t*, int32_t) { return run->host; }

void Parallel(bctx_run*, size_t count, void (*work)(void*, size_t), void* argument) {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work, argument, i);
  work(argument, 0);
  for (std::thread& thread : threads) thread.join();
}

double Now(size_t threads) {
  if (threads == 1) return ThreadSeconds();
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of one call: the smallest of at least 9 calls and half a second.
double Measure(const bctx_plugin& driver, bctx_kernel* kernel, Inputs& inputs, size_t threads,
               std::vector<float>& y) {
  std::vector<bctx_tensor> tensors{inputs.q.View(), inputs.k.View(), inputs.v.View()};
  for (Tensor& mask : inputs.masks) tensors.push_back(mask.View());
  bctx_run run{};
  run.struct_size = sizeof(run);
  run.inputs = tensors.data();
  run.input_count = tensors.size();
  run.output_count = 1;
  run.output = GiveOutput;
  run.parallel = Parallel;
  run.threads = threads;
  run.host = y.data();
  double best = 1e9, total = 0;
  for (int i = 0; i < 9 || total < 0.4; ++i) {
    const double start = Now(threads);
    if (driver.run(kernel, &run, nullptr) != BCTX_OK) std::abort();
    const double seconds = Now(threads) - start;
    total += seconds;
    if (i > 0) best = std::min(best, seconds);
  }
  return best;
}

Problem MakeProblem(Mask mask, int64_t heads, int64_t head_size, Layout layout) {
  Problem problem;
  problem.q = problem.k = problem.v = problem.y = layout;
  problem.q_heads = problem.kv_heads = heads;
  problem.qk_head_size = problem.v_head_size = head_size;
  problem.scale = 1.F / std::sqrt(static_cast<float>(head_size));
  problem.causal = mask == Mask::kCausal;
  if (mask == Mask::kPaddingAdd || IsMatrix(mask)) problem.masks = {BCTX_MASK_ADD};
  if (mask == Mask::kPaddingKeep) problem.masks = {BCTX_MASK_KEEP};
  return problem;
}

struct Case {
  Mask mask;
  int64_t head_size, length;
  Layout layout;
};

std::string NameOf(const Case& c) {
  return std::string(Name(c.mask)) + "-d" + std::to_string(c.head_size) + "-s" +
         std::to_string(c.length) + (c.layout == Layout::kPacked ? "-packed" : "-bhsd");
}

void Print(const Row& row, bool json) {
  if (json) {
    std::printf(
        "{\"target\":\"%s\",\"mask\":\"%s\",\"layout\":\"%s\",\"heads\":%lld,"
        "\"head_size\":%lld,\"length\":%lld,\"ms\":%.4f,\"gflops\":%.2f,\"share\":%.4f}\n",
        row.target.c_str(), row.mask.c_str(), row.layout.c_str(), static_cast<long long>(row.heads),
        static_cast<long long>(row.head_size), static_cast<long long>(row.length), row.milliseconds,
        row.gflops, row.share);
    return;
  }
  std::printf("%-10s %-14s %-6s D %3lld  S %4lld  %9.3f ms  %6.1f GF/s  %3.0f %%\n",
              row.target.c_str(), row.mask.c_str(), row.layout.c_str(),
              static_cast<long long>(row.head_size), static_cast<long long>(row.length),
              row.milliseconds, row.gflops, 100 * row.share);
  std::fflush(stdout);
}

void RunCase(const std::string& target, double peak, const Case& c, const Arguments& arguments) {
  constexpr int64_t kHeads = 8;
  const Problem problem = MakeProblem(c.mask, kHeads, c.head_size, c.layout);
  const Compiled compiled = Compile(CompilerPlugin(), problem, target, arguments.options);
  if (compiled.code != BCTX_OK) {
    std::fprintf(stderr, "%s: %s\n", target.c_str(), compiled.message.c_str());
    std::exit(1);
  }
  Runner runner(*DriverPlugin(), compiled.blob);
  if (runner.load_code() != BCTX_OK) {
    std::fprintf(stderr, "%s: %s\n", target.c_str(), runner.message().c_str());
    std::exit(1);
  }
  Random random(7);
  const int64_t rows = IsMatrix(c.mask) ? c.length : 1;
  Inputs inputs = MakeInputs(problem, random, 1, c.length, c.length, 1, {{1, 1, rows, c.length}});
  if (c.mask == Mask::kZeroAdd) {
    inputs.masks[0].floats.assign(inputs.masks[0].floats.size(), 0.F);
  }
  std::vector<float> y(static_cast<size_t>(kHeads * c.length * c.head_size));
  const double seconds = Measure(*DriverPlugin(), runner.kernel(), inputs, arguments.threads, y);
  const auto n = static_cast<double>(c.length);
  const double pairs = c.mask == Mask::kCausal ? n * (n + 1) / 2 : n * n;
  const double operations = 4 * pairs * static_cast<double>(c.head_size * kHeads);
  const double gflops = operations / seconds * 1e-9;
  Print({target, Name(c.mask), c.layout == Layout::kPacked ? "packed" : "bhsd", kHeads, c.head_size,
         c.length, seconds * 1e3, gflops, gflops / (peak * static_cast<double>(arguments.threads))},
        arguments.json);
}

std::vector<Case> Cases(bool all) {
  std::vector<Case> cases;
  for (int64_t head_size : {32, 64, 128}) {
    for (int64_t length : {16, 128, 512, 1024, 2048}) {
      if (!all && head_size != 64 && length > 512) continue;
      cases.push_back({Mask::kNone, head_size, length, Layout::kBhsd});
      cases.push_back({Mask::kCausal, head_size, length, Layout::kBhsd});
      cases.push_back({Mask::kPaddingAdd, head_size, length, Layout::kPacked});
      cases.push_back({Mask::kZeroAdd, head_size, length, Layout::kPacked});
      if (!all) continue;
      cases.push_back({Mask::kNone, head_size, length, Layout::kPacked});
      cases.push_back({Mask::kPaddingKeep, head_size, length, Layout::kBhsd});
      cases.push_back({Mask::kFullAdd, head_size, length, Layout::kBhsd});
    }
  }
  return cases;
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--all") {
      arguments.all = true;
    } else if (word == "--json") {
      arguments.json = true;
    } else if (word == "--threads" && i + 1 < argc) {
      arguments.threads = static_cast<size_t>(std::max(1, std::atoi(argv[++i])));
    } else if (word == "--only" && i + 1 < argc) {
      arguments.only = argv[++i];
    } else if (word == "--option" && i + 1 < argc) {
      const std::string pair = argv[++i];
      const size_t equals = pair.find('=');
      if (equals != std::string::npos) {
        arguments.options.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
      }
    } else {
      std::fprintf(stderr,
                   "usage: bench_attention [--all] [--json] [--threads N] [--only TEXT] "
                   "[--option KEY=VALUE]...\n");
      std::exit(2);
    }
  }
  return arguments;
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  const double avx2 = FmaPeak256(40), avx512 = FmaPeak512(40);
  const double near = ReadBandwidth(256 << 10, 200), far = ReadBandwidth(256 << 20, 4);
  std::printf(arguments.json
                  ? "{\"fma_avx2\":%.2f,\"fma_avx512\":%.2f,\"read_256k\":%.2f,"
                    "\"read_256m\":%.2f}\n"
                  : "peak of one core: AVX2 %.1f GF/s, AVX-512 %.1f GF/s (0: not there); "
                    "reads %.1f GB/s at 256 KiB, %.1f GB/s at 256 MiB\n",
              avx2, avx512, near, far);
  for (const Case& c : Cases(arguments.all)) {
    if (NameOf(c).find(arguments.only) == std::string::npos) continue;
    if (avx2 > 0) RunCase("x86-64-v3", avx2, c, arguments);
    if (avx512 > 0) RunCase("x86-64-v4", avx512, c, arguments);
  }
  return 0;
}

}  // namespace
}  // namespace backendctx::bench

int main(int argc, char** argv) { return backendctx::bench::Main(argc, argv); }
