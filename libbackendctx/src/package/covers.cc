#include "package/covers.h"

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "scope/nesting.h"
#include "scope/partition.h"

namespace backendctx::package {
namespace {

using manifest::Partition;

Status Malformed(const std::string& text, const char* field) {
  return Status(StatusCode::kMalformed, text, {.field = field});
}

class CoverChecker {
 public:
  CoverChecker(const manifest::Manifest& manifest, const std::string& variant,
               const model::ModelView& view, const std::set<std::string>& without)
      : manifest_(manifest),
        variant_(variant),
        without_(without),
        graphs_(PathsOf(view)),
        holders_(scope::HoldersOf(view)) {}

  Status Run() {
    for (const Partition& partition : manifest_.partitions) {
      if (partition.variant != variant_ || without_.contains(partition.id)) continue;
      BCTX_RETURN_IF_ERROR(AddPartition(partition));
    }
    for (const manifest::Scope& scope : manifest_.scopes) {
      if (scope.variant != variant_) continue;
      const Status status = CheckScope(scope);
      if (!status.ok()) {
        return Malformed(fmt::format("scope \"{}\": {}", scope.name, status.message()), "scopes");
      }
    }
    return OkStatus();
  }

 private:
  Status AddPartition(const Partition& partition) {
    BCTX_ASSIGN_OR_RETURN(std::vector<size_t> nodes, NodesOf(partition, graphs_));
    const model::GraphView& graph = *graphs_.at(partition.graph_path);
    BCTX_RETURN_IF_ERROR(CheckOutputs(partition, graph, nodes));
    const auto [other, is_new] = by_nodes_.emplace(std::pair(&graph, nodes), &partition);
    if (!is_new) {
      return Malformed(fmt::format("partition {}: has the nodes of partition {}", partition.id,
                                   other->second->id),
                       "partitions");
    }
    nodes_[partition.id] = std::move(nodes);
    return OkStatus();
  }

  // What a node outside reads is an output: nothing that replaces the partition makes it else.
  static Status CheckOutputs(const Partition& partition, const model::GraphView& graph,
                             const std::vector<size_t>& nodes) {
    std::set<std::string> outputs;
    for (const manifest::BoundaryValue& output : partition.outputs) outputs.insert(output.name);
    for (const size_t node : nodes) {
      for (const std::string& value : graph.nodes[node].outputs) {
        if (value.empty() || outputs.contains(value)) continue;
        const auto readers = graph.consumers.find(value);
        if (graph.is_output.contains(value)) return NoOutput(partition, value, "the graph's end");
        if (readers == graph.consumers.end()) continue;
        for (const size_t reader : readers->second) {
          if (std::binary_search(nodes.begin(), nodes.end(), reader)) continue;
          return NoOutput(partition, value, fmt::format("node \"{}\"", graph.nodes[reader].Key()));
        }
      }
    }
    return OkStatus();
  }

  static Status NoOutput(const Partition& partition, const std::string& value,
                         const std::string& reader) {
    return Malformed(fmt::format("partition {}: value \"{}\" is read outside, by {}, and is no "
                                 "output of it",
                                 partition.id, value, reader),
                     "partitions");
  }

  Status CheckScope(const manifest::Scope& scope) const {
    std::set<std::string> ids;
    for (const std::string& id : scope.contexts) {
      const manifest::Context* context = manifest_.FindContext(id);
      if (context != nullptr) ids.insert(context->partition);
    }
    std::map<std::string, std::vector<std::string>> by_graph;
    for (const std::string& id : ids) {
      const Partition* partition = manifest_.FindPartition(id);
      if (nodes_.contains(id)) by_graph[partition->graph_path].push_back(id);
    }
    for (const auto& [path, names] : by_graph) {
      std::vector<scope::Partition> cover(names.size());
      for (size_t i = 0; i < names.size(); ++i) cover[i].nodes = nodes_.at(names[i]);
      BCTX_RETURN_IF_ERROR(scope::CheckCover(*graphs_.at(path), cover, names));
    }
    return CheckDepth(by_graph);
  }

  // A node that holds a graph holds what is in it.
  Status CheckDepth(const std::map<std::string, std::vector<std::string>>& by_graph) const {
    std::map<scope::Place, std::string> owner;
    for (const auto& [path, names] : by_graph) {
      for (const std::string& name : names) {
        for (const size_t node : nodes_.at(name)) owner[{graphs_.at(path), node}] = name;
      }
    }
    for (const auto& [path, names] : by_graph) {
      for (auto at = holders_.find(graphs_.at(path)); at != holders_.end();
           at = holders_.find(at->second.first)) {
        const auto around = owner.find(at->second);
        if (around == owner.end()) continue;
        return Status(StatusCode::kMalformed,
                      fmt::format("node \"{}\": in partition {}, and partition {} is in its graphs",
                                  at->second.first->nodes[at->second.second].Key(), around->second,
                                  names.front()));
      }
    }
    return OkStatus();
  }

  const manifest::Manifest& manifest_;
  const std::string& variant_;
  const std::set<std::string>& without_;
  const GraphPaths graphs_;
  const scope::Holders holders_;
  std::map<std::string, std::vector<size_t>> nodes_;  // of each partition
  std::map<std::pair<const model::GraphView*, std::vector<size_t>>, const Partition*> by_nodes_;
};

}  // namespace

GraphPaths PathsOf(const model::ModelView& view) {
  GraphPaths graphs;
  for (const model::GraphView* graph : model::AllGraphs(view)) graphs.emplace(graph->path, graph);
  return graphs;
}

Result<std::vector<size_t>> NodesOf(const Partition& partition, const GraphPaths& graphs) {
  const auto graph = graphs.find(partition.graph_path);
  if (graph == graphs.end()) {
    return Malformed(fmt::format("partition {}: the model has no graph \"{}\"", partition.id,
                                 partition.graph_path),
                     "graph_path");
  }
  std::vector<size_t> nodes;
  for (const std::string& key : partition.nodes) {
    const auto made = graph->second->producer.find(key);
    if (made == graph->second->producer.end() || graph->second->nodes[made->second].Key() != key) {
      return Malformed(fmt::format("partition {}: the graph has no node \"{}\"", partition.id, key),
                       "nodes");
    }
    nodes.push_back(made->second);
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

Status CheckCovers(const manifest::Manifest& manifest, const std::string& variant,
                   const model::ModelView& view, const std::set<std::string>& without) {
  return CoverChecker(manifest, variant, view, without).Run();
}

}  // namespace backendctx::package
