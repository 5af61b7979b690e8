// Asking backends what of a model they can take, and making legal partitions of the answers.
//
// A backend claims nodes. Nodes claimed one by one become connected partitions, as few as merging
// greedily gives; sets claimed as a whole stay what they are. What is not legal (not convex, a
// cycle when contracted, a boundary that no runtime can bind) is reported and not compiled.
#pragma once

#include <string>
#include <vector>

#include "authoring/regions.h"
#include "backendctx/pack.h"
#include "model/flat_model.h"
#include "plugin/plugin.h"

namespace backendctx::authoring {

// What each backend asked for takes, in the order in which they were asked for: recognised
// attention for those that make no offers. A set of nodes that several take is one region. A
// plug-in that breaks a promise while it is asked is left out, with the reason in `left_out`.
Result<Regions> TakeRegions(const model::FlatModel& flat, const std::string& variant,
                            const std::vector<plugin::Plugin>& plugins,
                            const std::vector<BackendRequest>& requests,
                            std::vector<std::string>* left_out);

}  // namespace backendctx::authoring
