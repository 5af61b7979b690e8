// The structure digest of a partition: what a compiled context is bound to.
//
// SHA-256 over the partition's nodes in a stable topological order, values renamed by first use,
// weights as (type, shape), constants by value wherever an encoding puts them. Equal layers give
// equal digests. docs/format.md, "Structure digest", is the standard.
#pragma once

#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "model/graph_view.h"

namespace backendctx::model {

struct Region {
  std::vector<size_t> nodes;  // indices into the graph's nodes
  std::vector<std::string> activations, outputs;
};

Result<Digest> StructureDigest(const ModelView& model, const GraphView& graph,
                               const Region& region);

}  // namespace backendctx::model
