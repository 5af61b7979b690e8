// What a decision about 1,000 contexts costs: microseconds of processor time, the least and the
// median of many runs, for packages of three shapes. `bench_selection [RUNS]`.
//
// Each context asks for an architecture, a system, the features of its target, a range of versions
// and a range of shapes; a third of the partitions overlap others; every reason is made.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "backendctx/selection.h"

namespace backendctx::bench {
namespace {

constexpr size_t kContexts = 1000;
constexpr size_t kNodes = 13;  // of a layer's attention

const std::vector<std::vector<std::string>> kTargets = {
    {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"},
    {"avx", "avx2", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "bmi1", "bmi2",
     "f16c", "fma", "movbe", "xsave"},
    {"amx_bf16", "amx_int8", "amx_tile", "avx", "avx2", "avx512_bf16", "avx512_fp16", "avx512bw",
     "avx512cd", "avx512dq", "avx512f", "avx512vl", "bmi1", "bmi2", "f16c", "fma"},
    {"asimd", "fp"}};

HostProfile Host() {
  HostProfile host = HostProfile::Detect();
  host.facts["arch"] = "x86_64";
  host.facts["library.openvino"] = "2026.4.1-19876";
  std::vector<std::string> features = kTargets[1];
  for (int i = 0; i < 32; ++i) features.push_back("feature_" + std::to_string(i));
  std::sort(features.begin(), features.end());
  host.facts["cpu.features"] = features;
  return host;
}

struct Package {
  std::vector<manifest::Partition> partitions;
  std::vector<manifest::Context> contexts;
  std::vector<Candidate> candidates;
};

manifest::Partition MakePartition(size_t number) {
  manifest::Partition partition;
  partition.id = "attention-" + std::to_string(number);
  partition.variant = "default";
  // Every third begins in the middle of the one before.
  const size_t first = number * kNodes - (number % 3 == 2 ? kNodes / 2 : 0);
  for (size_t i = 0; i < kNodes; ++i) {
    partition.nodes.push_back("/encoder/layer/attention/self/output_" + std::to_string(first + i));
  }
  partition.inputs = {
      {"x", manifest::ValueRole::kActivation, 1, true, {{-1, "n"}, {12, ""}, {64, ""}}, {}, {}}};
  return partition;
}

manifest::Context MakeContext(const manifest::Partition& partition, size_t number) {
  const size_t target = number % kTargets.size();
  manifest::Context context;
  context.id = partition.id + "/backend/" + std::to_string(number);
  context.partition = partition.id;
  context.backend = "backend-" + std::to_string(number % 3);
  context.target = "target-" + std::to_string(target);
  context.requirements = {{"arch", 1, {target == 3 ? "aarch64" : "x86_64"}},
                          {"os", 1, {"linux"}},
                          {"cpu.features", 3, kTargets[target]},
                          {"library.openvino", 6, {">=2026.4", "<2026.5"}},
                          {"input.0.dim.2", 5, {">=16", "<=256"}}};
  context.proof.passed = true;
  return context;
}

Package Make(size_t partitions) {
  Package package;
  for (size_t i = 0; i < partitions; ++i) package.partitions.push_back(MakePartition(i));
  for (size_t i = 0; i < kContexts; ++i) {
    package.contexts.push_back(MakeContext(package.partitions[i % partitions], i));
  }
  for (size_t i = 0; i < kContexts; ++i) {
    Candidate candidate;
    candidate.context = &package.contexts[i];
    candidate.partition = &package.partitions[i % partitions];
    package.candidates.push_back(candidate);
  }
  return package;
}

// Processor time of this process: what else runs on the machine does not count.
double Microseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void Measure(size_t partitions, size_t runs) {
  const Package package = Make(partitions);
  const HostProfile host = Host();
  std::vector<double> times;
  size_t chosen = 0;
  for (size_t i = 0; i < runs; ++i) {
    const double start = Microseconds();
    const std::vector<Decision> decisions = Decide(package.candidates, host, {});
    times.push_back(Microseconds() - start);
    chosen = static_cast<size_t>(std::count_if(
        decisions.begin(), decisions.end(),
        [](const Decision& decision) { return decision.outcome == Outcome::kChosen; }));
  }
  std::sort(times.begin(), times.end());
  std::printf("%10zu %10zu %10zu %10.0f %10.0f\n", kContexts, partitions, chosen, times.front(),
              times[times.size() / 2]);
}

}  // namespace
}  // namespace backendctx::bench

int main(int count, char** arguments) {
  const size_t runs =
      std::max<size_t>(1, count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 200);
  std::printf("%10s %10s %10s %10s %10s\n", "contexts", "partitions", "chosen", "least us",
              "median us");
  for (const size_t partitions : {1, 125, 1000}) backendctx::bench::Measure(partitions, runs);
  return 0;
}
