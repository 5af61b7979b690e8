// Inputs for one operator whose meaning no pattern has worked out: sizes from its declared types
// and, for attention, from the roles of its operands.
#pragma once

#include <vector>

#include "authoring/regions.h"
#include "model/flat_model.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {

// One or two cases in the order of the partition's inputs; none when an input has a type or a rank
// that cannot be drawn.
std::vector<std::vector<proof::Tensor>> OperatorCases(const model::FlatModel& flat,
                                                      const Region& region);

}  // namespace backendctx::authoring
