#include "package/weight_table.h"

#include <fmt/format.h>

#include <map>

#include "package/state.h"

namespace backendctx::package {
namespace {

constexpr uint64_t kAlignment = 64;

// Where the container has the tensor's bytes as they are.
Result<uint64_t> FileOffset(const Package::State& state, const WeightPlace& place) {
  const container::Entry* entry = FindContent(state, place.digest);
  if (entry != nullptr && entry->storage == container::Storage::kRaw) return entry->offset;
  return Status(
      StatusCode::kIncompatible,
      fmt::format("weight {}: the code points at its bytes, and the container does not hold "
                  "them raw",
                  place.digest.Hex()));
}

}  // namespace

std::vector<WeightPlace> WeightTable(const manifest::Partition& partition,
                                     const std::function<uint64_t(const Digest&)>& size_of) {
  std::vector<WeightPlace> table;
  std::map<Digest, uint64_t> places;
  uint64_t end = 0;
  for (size_t i = 0; i < partition.inputs.size(); ++i) {
    const manifest::BoundaryValue& input = partition.inputs[i];
    if (input.role != manifest::ValueRole::kWeight || !input.content) continue;
    const uint64_t size = size_of(*input.content);
    const auto [place, is_new] = places.emplace(*input.content, end);
    table.push_back({i, *input.content, place->second, size});
    if (is_new) end += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  return table;
}

Result<BoundWeights> BindWeights(const Package& package, const manifest::Context& context,
                                 const manifest::Partition& partition) {
  BoundWeights bound;
  const bool points = context.weights == manifest::WeightsKind::kOffset;
  if (!points && context.weights != manifest::WeightsKind::kRefit) return bound;
  const Package::State& state = package.state();
  if (points && state.IsEmbedded()) {
    return Status(StatusCode::kIncompatible,
                  "the code points at weights in a file, and this package's container is embedded");
  }
  std::map<Digest, uint64_t> sizes;
  for (const manifest::Content& content : package.manifest().contents) {
    sizes[content.digest] = content.size;
  }
  const std::vector<WeightPlace> table =
      WeightTable(partition, [&sizes](const Digest& digest) { return sizes[digest]; });
  for (const WeightPlace& place : table) {
    bctx_bound_weight weight{place.offset, place.size, nullptr, 0};
    if (points) {
      BCTX_ASSIGN_OR_RETURN(weight.file_offset, FileOffset(state, place));
    } else {
      BCTX_ASSIGN_OR_RETURN(std::string bytes, ReadContent(state, place.digest));
      bound.bytes.push_back(std::move(bytes));
    }
    bound.weights.push_back(weight);
  }
  for (size_t i = 0; i < bound.bytes.size(); ++i) {
    bound.weights[i].data = reinterpret_cast<const uint8_t*>(bound.bytes[i].data());
  }
  // The file that was opened and checked, whatever its path names by now.
  if (points) bound.file = fmt::format("/proc/self/fd/{}", state.reader->file().fd());
  return bound;
}

}  // namespace backendctx::package
