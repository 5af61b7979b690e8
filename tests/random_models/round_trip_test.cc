// Every construct goes in and comes out. BCTX_RANDOM_SEED=N runs the one model of seed N, and names
// its constructs.
#include "random_models/round_trip.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "support/scratch.h"

namespace backendctx::tests {
namespace {

struct Seen {
  size_t models = 0, partitions = 0, not_taken = 0;
  std::map<std::string, size_t> constructs;  // models that have it
};

// Every model goes through both encodings; the other forms take turns, and some models have all.
Status RunForms(uint64_t seed, RoundTrip* trip) {
  const bool all = seed % 100 == 0;
  BCTX_RETURN_IF_ERROR(trip->RunEncodings());
  if (all || seed % 12 == 0) BCTX_RETURN_IF_ERROR(trip->RunBoth());
  if (all || seed % 12 == 1) BCTX_RETURN_IF_ERROR(trip->RunEmbedded());
  if (all || seed % 12 == 2) BCTX_RETURN_IF_ERROR(trip->RunCompressed());
  return OkStatus();
}

struct Ran {
  Status status;
  std::map<std::string, int> constructs;
  size_t partitions = 0, not_taken = 0;
};

Ran RunSeed(uint64_t seed) {
  const test::Scratch scratch;
  RoundTrip trip(seed, scratch.path().string());
  Ran ran{RunForms(seed, &trip), trip.made().constructs, 0, 0};
  ran.partitions = trip.report().taken.size();
  ran.not_taken = trip.report().not_taken.size();
  return ran;
}

void Count(uint64_t seed, const Ran& ran, Seen* seen) {
  std::string constructs;
  for (const auto& [name, times] : ran.constructs) {
    ++seen->constructs[name];
    constructs += name + ", ";
  }
  CAPTURE(seed, constructs);
  INFO(ran.status.message());
  CHECK(ran.status.ok());
  ++seen->models;
  seen->partitions += ran.partitions;
  seen->not_taken += ran.not_taken;
}

// Seeds 1 to `count` on every processor; looked at in their order.
void RunSeeds(uint64_t count, Seen* seen) {
  std::vector<Ran> ran(count);
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (uint64_t at = next++; at < count; at = next++) ran[at] = RunSeed(at + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t at = 0; at < count; ++at) Count(at + 1, ran[at], seen);
}

}  // namespace

TEST_CASE("random models are packed in every form, verified, encoded and given back byte for byte",
          "[random]") {
  // Thousands of packages are written and synced; on a disk that would be most of the time.
  if (std::filesystem::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  Seen seen;
  if (const char* one = std::getenv("BCTX_RANDOM_SEED")) {
    const uint64_t seed = std::strtoull(one, nullptr, 10);
    Count(seed, RunSeed(seed), &seen);
    for (const auto& [name, times] : seen.constructs) std::cout << name << "\n";
    return;
  }
  const uint64_t count = std::getenv("BCTX_TEST_LONG") ? 30000 : 2000;
  RunSeeds(count, &seen);
  std::cout << seen.models << " models, " << seen.partitions << " partitions, " << seen.not_taken
            << " regions not taken\n";
  for (const auto& [name, times] : seen.constructs) {
    std::cout << "  " << times << " with " << name << "\n";
    CHECK(times >= 10);
  }
  CHECK(seen.constructs.size() >= 60);
  CHECK(seen.partitions > count / 2);
}

}  // namespace backendctx::tests
