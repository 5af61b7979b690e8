// Is a call as ONNX Runtime has it the partition that was compiled? Tools that edit models keep our
// calls and change what they are called with: an fp16 converter puts other types in, a quantiser
// other weights. Each such call is stale, and its body runs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backendctx/package.h"
#include "provider/graph_reader.h"

namespace backendctx::ort {

// Finds the digests of a package's tensors by where they lie in its container, so that weights need
// not be read to be recognised.
class WeightIndex {
 public:
  explicit WeightIndex(const Package& package);
  // The digest of the tensor that lies exactly there; null when none does.
  const Digest* Find(const ExternalPlace& place) const;

 private:
  std::string container_;
  std::map<std::pair<uint64_t, uint64_t>, Digest> by_place_;  // (offset, size)
};

struct CallPorts {
  std::vector<Port> inputs, outputs;
};

// Why the call may not be replaced by `context`; empty: it may. The front's body is not looked at.
// A constant that the runtime has folded away, so that its port has no info, is no reason: what it
// was is a part of what was compiled. One that the code wants passed is.
Result<std::string> WhyStale(const GraphReader& reader, const CallPorts& call,
                             const manifest::Partition& partition, const manifest::Context& context,
                             const WeightIndex& weights);

}  // namespace backendctx::ort
