// The weight table of a partition (docs/plugins.md, "Weights"): the positions by which blobs point
// at weights, the same in every package, and where those weights are in one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/package.h"
#include "plugin/plugin.h"

namespace backendctx::package {

struct WeightPlace {
  size_t input = 0;  // among the partition's inputs
  Digest digest;
  uint64_t offset = 0, size = 0;
};
// In input order, each at the next multiple of 64; equal ones share a place.
std::vector<WeightPlace> WeightTable(const manifest::Partition& partition,
                                     const std::function<uint64_t(const Digest&)>& size_of);

// The weights of a partition as a kernel that refits or points at them is loaded with.
struct BoundWeights {
  std::vector<bctx_bound_weight> weights;
  std::string file;                // of kOffset
  std::vector<std::string> bytes;  // of kRefit: what `weights` points at
};
// Incompatible: the container does not hold them as they must be held (raw, in a file of its own,
// for blobs that point at them). Corrupt: bytes against a digest.
Result<BoundWeights> BindWeights(const Package& package, const manifest::Context& context,
                                 const manifest::Partition& partition);

}  // namespace backendctx::package
