// Compiling regions for every backend and target, equal ones once, and proving what came out.
#pragma once

#include <string>
#include <vector>

#include "authoring/regions.h"
#include "backendctx/pack.h"
#include "plugin/plugin.h"

namespace backendctx::authoring {

struct Compiled {
  std::vector<manifest::Context> contexts;  // sorted by id
  std::vector<manifest::Scope> scopes;      // one for each backend and target that gave contexts
  std::vector<std::string> blobs;           // distinct, sorted by digest
  std::vector<CompiledContext> report;
  std::vector<std::string> dropped;
  std::vector<UntakenRegion> not_taken;  // regions that a backend refused, with its words, and
                                         // those whose body ONNX Runtime does not run
  uint64_t distinct = 0;                 // compiled regions after equal ones were merged
};

// Regions whose body ONNX Runtime refuses get a legalised one.
Result<Compiled> CompileRegions(const model::FlatModel& flat, std::vector<Region>* regions,
                                const std::vector<plugin::Plugin>& plugins,
                                const PackOptions& options);

}  // namespace backendctx::authoring
