// Where two flat graphs first differ, in words.
#pragma once

#include <string>

#include "model/flat_model.h"

namespace backendctx::authoring {

// Looks at what the graph digest looks at, outermost graph first: opsets, inputs, outputs, nodes in
// order, tensors. "" when nothing differs.
std::string FirstDifference(const model::ModelView& a, const model::ModelView& b);

}  // namespace backendctx::authoring
