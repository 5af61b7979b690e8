// Every construct goes in and comes out. BCTX_RANDOM_SEED=N runs the one model of seed N, and names
// its constructs.
#include "random_models/round_trip.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>

#include "support/scratch.h"

namespace backendctx::tests {
namespace {

struct Seen {
  size_t models = 0, partitions = 0, not_taken = 0;
  std::map<std::string, size_t> constructs;  // models that have it
};

void RunSeed(uint64_t seed, Seen* seen) {
  const test::Scratch scratch;
  RoundTrip trip(seed, scratch.path().string());
  Status status = trip.Run();
  if (status.ok() && seed % 4 == 0) status = trip.RunMetadata();
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

TEST_CASE("random models are packed, verified and given back byte for byte", "[random]") {
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
