// What of a model is handed to backends: recognised regions as partitions of the manifest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backendctx/manifest.h"
#include "backendctx/pack.h"
#include "model/flat_model.h"
#include "patterns/attention.h"

namespace backendctx::authoring {

struct Region {
  manifest::Partition partition;
  std::vector<size_t> nodes;                     // of the graph, ascending
  std::optional<patterns::Attention> attention;  // where it was recognised as such
  std::vector<std::string> backends;             // those that take it, in the order of the request
  const model::GraphView* graph = nullptr;       // of the flat model, which must outlive it
  std::string legal_body;  // what the front's function holds instead of the nodes

  void DropLegalBody() {
    legal_body.clear();
    partition.body.reset();
    partition.body_structure_digest.reset();
  }
};

struct Regions {
  // Those of one backend are a cover of each graph: disjoint, convex, acyclic when contracted.
  std::vector<Region> regions;
  std::vector<TakenRegion> taken;
  std::vector<UntakenRegion> not_taken;
};

Result<Regions> FindRegions(const model::FlatModel& flat, const std::string& variant);

}  // namespace backendctx::authoring
