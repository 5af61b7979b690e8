// Declared shapes against each other.
#pragma once

#include "compiler/plan.h"

namespace backendctx::cpu_attention {

// Unsupported where declared dimensions contradict each other or the plan, so that what compiles
// can also run. Dimensions that are known only at run time are the driver's to check.
Outcome CheckShapes(const bctx_partition& partition, const Plan& plan);

}  // namespace backendctx::cpu_attention
