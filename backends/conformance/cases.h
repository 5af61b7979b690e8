// The models of the suite.
#pragma once

#include "conformance/model.h"

namespace backendctx::conformance {

// Each is right for some backend; none needs to be taken by all.
const std::vector<Model>& Cases();
// One node of a domain that no backend has, between two that many take.
const Model& StrangeCase();

}  // namespace backendctx::conformance
