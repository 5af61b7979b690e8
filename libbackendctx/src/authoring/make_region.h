// What a set of nodes becomes in a manifest: its partition, with everything that binds it later.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "authoring/regions.h"
#include "model/flat_model.h"
#include "scope/equal_values.h"
#include "scope/partition.h"

namespace backendctx::authoring {

// Makes the regions of one graph; what they share is worked out once. The flat model and the graph
// must outlive it.
class RegionMaker {
 public:
  RegionMaker(const model::FlatModel& flat, const model::GraphView& graph,
              const std::string& variant)
      : flat_(flat), graph_(graph), variant_(variant) {}

  // Unimplemented: what an encoding or a digest cannot carry.
  Result<Region> Make(const scope::Partition& span, const std::string& id,
                      const std::string& function);

 private:
  const model::FlatModel& flat_;
  const model::GraphView& graph_;
  const std::string variant_;
  std::optional<scope::ValueClasses> classes_;  // made with the first region
};

// One node as a partition that nobody compiles: see legal_body.h.
Result<Region> SingleNode(const model::FlatModel& flat, const model::GraphView& graph, size_t node,
                          const std::string& variant, const std::string& id,
                          const std::string& function);

// Every graph of the model, outer ones first, with whether its path is no other graph's.
// `visit` gives the paths of graphs that are now inside a region: no region within a region of the
// same backend, so they are left out.
using VisitGraph =
    std::function<Result<std::vector<std::string>>(const model::GraphView&, bool path_is_unique)>;
Status ForEachGraph(const model::FlatModel& flat, const VisitGraph& visit);

// The paths of the graphs inside the nodes of the regions from `first` on.
std::vector<std::string> InnerPaths(const Regions& regions, size_t first);

}  // namespace backendctx::authoring
