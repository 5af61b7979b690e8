// What a runtime asks of a package: which contexts to load, and their kernels.
//
// The one path from stored bytes to running code, shared by the provider and by proofs: trust, then
// binding, then the decision, then the blob's digest, then a private copy, then the driver. Kernels
// are memoised per process by (blob digest, plug-in, entry, options), looked up only after this
// package's own checks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"
#include "plugin/plugin.h"

namespace backendctx::package {

// Adds what the drivers of the package's backends know of this machine; the words of those that
// failed.
BCTX_API std::vector<std::string> AddFacts(const Package& package,
                                           const std::vector<plugin::Plugin>& drivers,
                                           HostProfile* profile);
// This machine as the system knows it and, unless it is null, this driver; what the driver cannot
// say is not in it.
HostProfile HostOf(const plugin::Plugin* driver);
// Has the vendors' plug-ins judge their own labels.
void AskVendors(const std::vector<plugin::Plugin>& drivers, std::vector<Candidate>* candidates);

struct LoadedContext {
  const manifest::Context* context = nullptr;  // of the package, which must outlive it
  const manifest::Partition* partition = nullptr;
  plugin::Kernel kernel;
};

struct Selection {
  std::vector<Decision> decisions;    // what failed to load is rejected here, with its reason
  std::vector<LoadedContext> loaded;  // at most one for each partition
};

// Malformed and Corrupt stop; Incompatible, Untrusted and stale are decisions.
BCTX_API Result<Selection> SelectAndLoad(const Package& package, const HostProfile& profile,
                                         const Policy& policy,
                                         const std::vector<plugin::Plugin>& drivers);

}  // namespace backendctx::package
