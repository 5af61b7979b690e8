// The body that a front's function gets: the partition's own nodes, or, where ONNX Runtime does not
// run those, a decomposition that it was seen to run.
#pragma once

#include <string>
#include <vector>

#include "authoring/regions.h"
#include "backendctx/pack.h"
#include "model/flat_model.h"

namespace backendctx::authoring {

// Gives the region its legalised body and the partition the digests of it. Unimplemented: there is
// no decomposition.
Status GiveLegalBody(const model::FlatModel& flat, Region* region);

// The region's body, legalised or not, as a model of its own.
Result<std::string> BodyModelOf(const model::FlatModel& flat, const Region& region);

// Operators of the attention family that are in no region and that ONNX Runtime refuses: each
// becomes a partition without contexts whose function holds a decomposition. Without a runtime at
// hand nothing is tried. What has no decomposition, or one that is refused too, is in `unrunnable`.
struct LegalOperators {
  std::vector<Region> regions;
  std::vector<UntakenRegion> unrunnable;
};
Result<LegalOperators> LegalizeOperators(const model::FlatModel& flat,
                                         const std::vector<Region>& taken,
                                         const std::string& variant, const ProofTools& tools);

// Why a region runs in no form, from what the runtime said of its body and of the decomposition.
std::string WhyUnrunnable(const std::string& original, const std::string& legal);

// A runtime's words as a reason: without the program's name and where it was thrown, and not long.
std::string RefusalOf(const std::string& words);

}  // namespace backendctx::authoring
