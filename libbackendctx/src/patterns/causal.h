// Whether a mask is causality and nothing else, by how it is computed.
#pragma once

#include <optional>
#include <vector>

#include "patterns/attention.h"
#include "patterns/facts.h"

namespace backendctx::patterns {

// The nodes that make a mask which masks key j of query i exactly where j > i, for the last two
// axes of its value; nothing when that is not proved. A value that masks by the lowest finite
// number masks as minus infinity does, because every row has a key that is open.
std::optional<std::vector<size_t>> CausalNodes(const model::GraphView& graph, const Facts& facts,
                                               const Mask& mask);

}  // namespace backendctx::patterns
