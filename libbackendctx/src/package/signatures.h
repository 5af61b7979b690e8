// The signatures of a container over its manifest.
#pragma once

#include <string>
#include <vector>

#include "backendctx/package.h"
#include "container/container.h"

namespace backendctx::package {

// Every signature is verified, by trusted and by unknown keys alike; one that does not verify is
// Corrupt. A container without signatures is sound and untrusted.
Result<Trust> CheckSignatures(const container::Reader& reader, const std::string& manifest,
                              const std::vector<PublicKey>& trusted);

}  // namespace backendctx::package
