// Inside manifest only: what the values of a manifest must be among each other.
#pragma once

#include "backendctx/manifest.h"
#include "backendctx/status.h"

namespace backendctx::manifest {

Status Validate(const Manifest& manifest);

}  // namespace backendctx::manifest
