// What changing a package has in common: opened with every byte checked, written with a new
// manifest.
#pragma once

#include <string>
#include <vector>

#include "backendctx/change.h"

namespace backendctx::authoring {

// A package that may be a part of another one: verified to the last byte, then signed by a trusted
// key (Untrusted else; `allow_unsigned` takes those that nobody signed, and no unknown key's).
Result<Package> OpenVouched(const std::string& path, const ChangeOptions& options,
                            bool allow_unsigned);

// InvalidArgument when `output` is a part of one of these or may not be made (write.h).
Status CheckOutputs(const std::vector<Package>& inputs, const std::string& output, bool force);

// Drops what nothing names any more: contexts of scopes, empty scopes, partitions without contexts.
void Tidy(manifest::Manifest* manifest);

// Writes `manifest` over the graph of the first of `sources`, in its form; each blob and body comes
// from the first that has it. Unimplemented: one that none has, or several variants.
Result<Written> WriteChanged(const std::vector<Package>& sources, manifest::Manifest manifest,
                             const std::string& output, const ChangeOptions& options);

}  // namespace backendctx::authoring
