// What every reading verb does first: find the keys, open the package, name a failure.
#pragma once

#include <backendctx/package.h>

#include <map>
#include <string>
#include <vector>

#include "tools_common/command_line.h"
#include "tools_common/json.h"

namespace backendctx::tools {

struct ReadFlags {
  std::string package;
  std::vector<std::string> trusted_keys;
  bool json = false;
};

void AddReadFlags(CLI::App* verb, ReadFlags* flags);
Result<Package> OpenPackage(const ReadFlags& flags);

// This machine, with what the drivers of the package's backends know of it.
HostProfile HostFor(const Package& package);

// The decisions of a package by context id. Only what is in the files counts: no plug-in is loaded.
std::map<std::string, Decision> DecisionsByContext(const Package& package,
                                                   const HostProfile& profile,
                                                   const Policy& policy);

// What the package says of its trust, in a sentence.
std::string TrustText(const Package& package);

}  // namespace backendctx::tools
