#include "weights/sharing.h"

#include <map>

namespace backendctx::weights {

Sharing ShareEqual(const std::vector<TensorUse>& uses) {
  std::map<Digest, uint64_t> distinct;
  Sharing sharing;
  WeightsSummary& summary = sharing.summary;
  for (const TensorUse& use : uses) {
    ++summary.tensors;
    summary.logical_bytes += use.size;
    const bool is_new = distinct.emplace(use.digest, use.size).second;
    if (is_new) {
      summary.stored_bytes += use.size;
    } else {
      summary.saved_equal += use.size;
    }
  }
  for (const auto& [digest, size] : distinct) sharing.stored.push_back({digest, size});
  return sharing;
}

}  // namespace backendctx::weights
