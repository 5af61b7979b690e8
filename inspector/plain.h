// Models without a container: plain ones, and EPContext models of other makers.
#pragma once

#include <backendctx/package.h>
#include <backendctx/references.h>

#include <string>

#include "tools_common/json.h"

namespace backendctx::tools {

// Of the model at a package's front; nothing for a package with a container.
Result<ModelReferences> ReferencesOf(const Package& package);

std::string PlainText(const Package& package, const std::string& file,
                      const ModelReferences& references);
Json EpContextsJson(const ModelReferences& references);
Json EpCompatibilityJson(const ModelReferences& references);

// Every file that the model names is there: nobody vouches for more. Adds to `report`.
void CheckReferences(const ModelReferences& references, VerifyReport* report);

}  // namespace backendctx::tools
