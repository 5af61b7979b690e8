// Sharing weights: every content once, however many tensors hold it.
//
// The levels are lossless and tried in order; this version has the first, equal bytes. What comes
// out is what is stored and what that saved, by level.
#pragma once

#include <cstdint>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/package.h"

namespace backendctx::weights {

// One tensor of a graph: a content and its decoded size.
struct TensorUse {
  Digest digest;
  uint64_t size = 0;
};

struct Sharing {
  std::vector<TensorUse> stored;  // distinct, sorted by digest
  WeightsSummary summary;
};

Sharing ShareEqual(const std::vector<TensorUse>& uses);

}  // namespace backendctx::weights
