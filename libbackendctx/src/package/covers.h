// Whether the scopes of a manifest are covers of its graphs (docs/format.md, "scopes").
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "backendctx/manifest.h"
#include "backendctx/status.h"
#include "model/graph_view.h"

namespace backendctx::package {

// Graphs by path; of two with one path the first.
using GraphPaths = std::map<std::string, const model::GraphView*>;
GraphPaths PathsOf(const model::ModelView& view);

// The nodes of a partition, ascending. Malformed: a graph or a node that is not there.
Result<std::vector<size_t>> NodesOf(const manifest::Partition& partition, const GraphPaths& graphs);

// Malformed, with the offending path where there is one: a scope whose partitions share a node, are
// not convex or wait for each other; two partitions of the same nodes; one that does not name what
// is read outside of it. Partitions of `without` are left out.
Status CheckCovers(const manifest::Manifest& manifest, const std::string& variant,
                   const model::ModelView& view, const std::set<std::string>& without = {});

}  // namespace backendctx::package
