// Every construct goes in and comes out. BCTX_RANDOM_SEED=N runs the one model of seed N, and names
// its constructs.
#include "random_models/round_trip.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>

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

void RunSeed(uint64_t seed, Seen* seen) {
  const test::Scratch scratch;
  RoundTrip trip(seed, scratch.path().string());
  const Status status = RunForms(seed, &trip);
  std::string constructs;
  for (const auto& [name, times] : trip.made().constructs) {
    ++seen->constructs[name];
    constructs += name + ", ";
  }
  CAPTURE(seed, constructs);
  INFO(status.message());
  CHECK(status.ok());
  ++seen->models;
  seen->partitions += trip.report().taken.size();
  seen->not_taken += trip.report().not_taken.size();
}

}  // namespace

TEST_CASE("random models are packed in every form, verified, encoded and given back byte for byte",
          "[random]") {
  // Thousands of packages are written and synced; on a disk that would be most of the time.
  if (std::filesystem::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  Seen seen;
  if (const char* one = std::getenv("BCTX_RANDOM_SEED")) {
    RunSeed(std::strtoull(one, nullptr, 10), &seen);
    for (const auto& [name, times] : seen.constructs) std::cout << name << "\n";
    return;
  }
  const uint64_t count = std::getenv("BCTX_TEST_LONG") ? 30000 : 2000;
  for (uint64_t seed = 1; seed <= count; ++seed) RunSeed(seed, &seen);
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
