// One requirement against one fact.
#pragma once

#include <optional>
#include <string>

#include "backendctx/selection.h"

namespace backendctx::select {

// Whether it is met. When not, and `lack` is not null, what was found and expected, without the
// key.
bool Meets(const manifest::Requirement& requirement, const HostProfile::Fact& fact,
           std::string* lack);

// The same for a dimension that is known at run time only: met when every number from 0 meets it.
bool MeetsAlways(const manifest::Requirement& requirement);

bool IsKnown(uint32_t predicate);

// "x86_64", "one of a, b", ">=1, <=512", for people.
std::string ShowExpected(const manifest::Requirement& requirement);

}  // namespace backendctx::select
