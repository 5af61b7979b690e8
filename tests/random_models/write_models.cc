// write_random_models FOLDER FIRST COUNT: for COUNT seeds from FIRST on a folder with the model,
// its packages (RoundTrip says where) and what was restored; prints one line for each: seed,
// whether runtimes have kernels for it, number of partitions. Ends with 1 where the round trip
// fails.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "random_models/round_trip.h"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const std::filesystem::path folder = arguments[1];
  const uint64_t first = std::strtoull(arguments[2], nullptr, 10);
  const uint64_t last = first + std::strtoull(arguments[3], nullptr, 10);
  for (uint64_t seed = first; seed < last; ++seed) {
    const auto place = folder / std::to_string(seed);
    std::filesystem::create_directories(place);
    backendctx::tests::RoundTrip trip(seed, place.string());
    backendctx::Status status = trip.RunEncodings();
    if (status.ok()) status = trip.RunEmbedded();
    if (!status.ok()) {
      std::fprintf(stderr, "seed %s: %s\n", place.filename().c_str(), status.message().c_str());
      return 1;
    }
    std::printf("%s\t%s\t%zu\n", place.filename().c_str(),
                trip.made().runs ? "runs" : "does not run", trip.report().taken.size());
  }
  return 0;
}
