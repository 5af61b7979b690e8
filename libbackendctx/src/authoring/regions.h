// What of a model is handed to backends: recognised regions as partitions of the manifest.
#pragma once

#include <string>
#include <vector>

#include "backendctx/manifest.h"
#include "backendctx/pack.h"
#include "model/flat_model.h"
#include "patterns/attention.h"

namespace backendctx::authoring {

struct Region {
  manifest::Partition partition;
  std::vector<size_t> nodes;  // of the graph, ascending
  patterns::Attention attention;
  const model::GraphView* graph = nullptr;  // of the flat model, which must outlive it
  std::string legal_body;                   // what the front's function holds instead of the nodes

  void DropLegalBody() {
    legal_body.clear();
    partition.body.reset();
    partition.body_structure_digest.reset();
  }
};

struct Regions {
  std::vector<Region> regions;  // a cover of each graph: disjoint, convex, acyclic when contracted
  std::vector<TakenRegion> taken;
  std::vector<UntakenRegion> not_taken;
};

Result<Regions> FindRegions(const model::FlatModel& flat, const std::string& variant);

// One node as a partition that nobody compiles: see operators.h.
Result<Region> SingleNode(const model::FlatModel& flat, const model::GraphView& graph, size_t node,
                          const std::string& variant, const std::string& id,
                          const std::string& function);

}  // namespace backendctx::authoring
