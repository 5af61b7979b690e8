// The structure digest of a partition: what a compiled context is bound to.
//
// SHA-256 over the partition's nodes in an order that follows from what they compute, values
// renamed by first use, weights as (type, shape), constants by value wherever an encoding puts
// them, and the order in which weights and constants are passed. Equal layers give equal digests,
// however their nodes are listed. docs/format.md, "Structure digest", is the standard.
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
  // Of the initializers and Constants that the nodes read those that a call passes, in its order;
  // what it does not pass is left out.
  std::vector<std::string> weights = {}, constants = {};
};

Result<Digest> StructureDigest(const ModelView& model, const GraphView& graph,
                               const Region& region);

}  // namespace backendctx::model
