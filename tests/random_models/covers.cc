#include "random_models/covers.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "model/front.h"
#include "package/state.h"
#include "random_models/random.h"
#include "scope/partition.h"

namespace backendctx::tests {
namespace {

using model::GraphView;

std::map<std::string, const GraphView*> GraphsOf(const model::ModelView& view) {
  std::map<std::string, const GraphView*> graphs;
  std::set<std::string> twice;
  for (const GraphView* graph : model::AllGraphs(view)) {
    if (!graphs.emplace(graph->path, graph).second) twice.insert(graph->path);
  }
  for (const std::string& path : twice) graphs.erase(path);
  return graphs;
}

std::vector<size_t> After(const GraphView& graph, size_t node) {
  std::vector<size_t> after;
  for (const std::string& output : graph.nodes[node].outputs) {
    const auto readers = graph.consumers.find(output);
    if (output.empty() || readers == graph.consumers.end()) continue;
    after.insert(after.end(), readers->second.begin(), readers->second.end());
  }
  return after;
}

// For each node the nodes that it waits for.
std::vector<std::vector<size_t>> Before(const GraphView& graph) {
  std::vector<std::vector<size_t>> before(graph.nodes.size());
  for (size_t node = 0; node < graph.nodes.size(); ++node) {
    for (const size_t reader : After(graph, node)) before[reader].push_back(node);
  }
  return before;
}

bool IsConstant(const GraphView& graph, size_t node) {
  return graph.nodes[node].Key().empty() || model::ConstantNodeTensor(graph.nodes[node]);
}

class Coverer {
 public:
  Coverer(const model::FlatModel& flat, uint64_t seed, bool careful)
      : flat_(flat), random_(seed), careful_(careful), graphs_(GraphsOf(flat.view())) {
    for (const auto& [path, graph] : graphs_) {
      paths_.push_back(path);
      before_.emplace(graph, Before(*graph));
    }
  }

  manifest::Manifest Run() {
    for (const char* name : {"a", "b", "c"}) {
      manifest::Scope scope;
      scope.name = scope.backend = name;
      scope.variant = "default";
      const size_t tries = 1 + random_.Below(4);
      for (size_t i = 0; i < tries; ++i) AddPartition(&scope);
      manifest_.scopes.push_back(std::move(scope));
    }
    if (random_.Chance(40)) AddPair();
    std::sort(manifest_.contexts.begin(), manifest_.contexts.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    for (manifest::Scope& scope : manifest_.scopes) {
      std::sort(scope.contexts.begin(), scope.contexts.end());
    }
    return std::move(manifest_);
  }

 private:
  void AddPartition(manifest::Scope* scope) {
    const std::string path = random_.Chance(60) ? "" : paths_[random_.Below(paths_.size())];
    if (!graphs_.contains(path)) return;
    const GraphView& graph = *graphs_.at(path);
    std::set<size_t> nodes;
    if (!manifest_.partitions.empty() && random_.Chance(15)) {
      return AddContext(manifest_.partitions[random_.Below(manifest_.partitions.size())], scope);
    }
    if (!Grow(graph, &nodes)) return;
    if (careful_ || random_.Chance(60)) MakeConvex(graph, &nodes);
    const std::optional<manifest::Partition> partition = Describe(graph, nodes);
    if (partition) AddContext(*partition, scope);
  }

  // Of two edges a -> c and b -> d the sets {a, d} and {b, c}, for two scopes: each by itself may
  // be sound, and together they wait for each other.
  void AddPair() {
    const GraphView& graph = *graphs_.begin()->second;
    std::vector<std::pair<size_t, size_t>> edges;
    for (size_t node = 0; node < graph.nodes.size(); ++node) {
      if (IsConstant(graph, node)) continue;
      for (const size_t next : After(graph, node)) edges.emplace_back(node, next);
    }
    for (size_t i = 0; i < 30 && !edges.empty(); ++i) {
      const auto [a, c] = edges[random_.Below(edges.size())];
      const auto [b, d] = edges[random_.Below(edges.size())];
      if (std::set<size_t>{a, b, c, d}.size() != 4) continue;
      const auto one = Describe(graph, {a, d}), other = Describe(graph, {b, c});
      if (!one || !other) continue;
      AddContext(*one, &manifest_.scopes[0]);
      AddContext(*other, &manifest_.scopes[1]);
      return;
    }
  }

  // Some nodes that hang together, or two groups that do.
  bool Grow(const GraphView& graph, std::set<size_t>* nodes) {
    if (graph.nodes.empty()) return false;
    const size_t most = random_.Chance(20) ? graph.nodes.size() : 1 + random_.Below(8);
    for (size_t group = 0; group < (random_.Chance(30) ? 2u : 1u); ++group) {
      std::vector<size_t> open = {random_.Below(graph.nodes.size())};
      while (!open.empty() && nodes->size() < most) {
        const size_t at = open.back();
        open.pop_back();
        if (IsConstant(graph, at) || !nodes->insert(at).second) continue;
        std::vector<size_t> next = After(graph, at);
        for (const size_t node : before_.at(&graph)[at]) next.push_back(node);
        for (const size_t node : next) {
          if (random_.Chance(70)) open.insert(open.begin(), node);
        }
      }
    }
    return !nodes->empty();
  }

  // Adds what lies between.
  void MakeConvex(const GraphView& graph, std::set<size_t>* nodes) const {
    std::set<size_t> below, above;
    const auto walk = [&](std::set<size_t>* seen, auto&& next) {
      std::vector<size_t> open(nodes->begin(), nodes->end());
      while (!open.empty()) {
        const size_t at = open.back();
        open.pop_back();
        for (const size_t node : next(graph, at)) {
          if (seen->insert(node).second) open.push_back(node);
        }
      }
    };
    walk(&below, After);
    walk(&above, [this](const GraphView& of, size_t node) { return before_.at(&of)[node]; });
    for (const size_t node : below) {
      if (above.contains(node) && !IsConstant(graph, node)) nodes->insert(node);
    }
  }

  manifest::BoundaryValue Value(const GraphView& graph, const std::string& name,
                                manifest::ValueRole role) const {
    manifest::BoundaryValue value;
    value.name = name;
    value.role = role;
    if (const model::ValueType* type = graph.Type(name)) value.element_type = type->element_type;
    if (role == manifest::ValueRole::kActivation) return value;
    const model::TensorInfo constant = *graph.Constant(name);
    value.element_type = constant.element_type;
    value.has_shape = true;
    for (const int64_t dim : constant.dims) value.dims.push_back({dim, ""});
    value.content.emplace();
    std::copy_n(constant.digest.begin(), value.content->bytes.size(), value.content->bytes.begin());
    return value;
  }

  // Nothing: functions cannot carry it, or a manifest cannot name it.
  std::optional<manifest::Partition> Describe(const GraphView& graph,
                                              const std::set<size_t>& nodes) const {
    manifest::Partition partition;
    partition.variant = "default";
    partition.graph_path = graph.path;
    for (const size_t node : nodes) partition.nodes.push_back(graph.nodes[node].Key());
    const Result<scope::Partition> span = scope::Span(graph, {nodes.begin(), nodes.end()});
    if (!span) return careful_ ? std::nullopt : DescribeOutputs(graph, nodes, partition);
    for (const auto& [names, role] :
         {std::pair{&span->activations, manifest::ValueRole::kActivation},
          {&span->weights, manifest::ValueRole::kWeight},
          {&span->constants, manifest::ValueRole::kConstant}}) {
      for (const std::string& name : *names) partition.inputs.push_back(Value(graph, name, role));
    }
    for (const std::string& name : span->outputs) {
      partition.outputs.push_back(Value(graph, name, manifest::ValueRole::kActivation));
    }
    return Finish(std::move(partition));
  }

  static std::optional<manifest::Partition> DescribeOutputs(const GraphView& graph,
                                                            const std::set<size_t>& nodes,
                                                            manifest::Partition partition) {
    for (const size_t node : nodes) {
      for (const std::string& output : graph.nodes[node].outputs) {
        if (output.empty()) continue;
        partition.outputs.emplace_back();
        partition.outputs.back().name = output;
      }
    }
    return partition;
  }

  std::optional<manifest::Partition> Finish(manifest::Partition partition) const {
    partition.id = "p";
    partition.function = "P";
    const auto operands = model::CallOperands(flat_, package::ToEncoded(partition));
    if (!operands || partition.outputs.empty()) return std::nullopt;
    std::erase_if(partition.inputs, [&](const manifest::BoundaryValue& input) {
      return std::find(operands->begin(), operands->end(), input.name) == operands->end();
    });
    const auto digest = package::PartitionDigest(flat_.view(), package::ToEncoded(partition));
    if (!digest) return std::nullopt;
    partition.structure_digest = *digest;
    std::vector<std::string> names = partition.nodes;
    names.push_back(partition.graph_path);
    for (const auto* values : {&partition.inputs, &partition.outputs}) {
      for (const manifest::BoundaryValue& value : *values) names.push_back(value.name);
    }
    if (!std::all_of(names.begin(), names.end(), base::IsCleanText)) return std::nullopt;
    return partition;
  }

  // Backends share a partition with the same nodes.
  void AddContext(manifest::Partition partition, manifest::Scope* scope) {
    const auto known = std::find_if(
        manifest_.partitions.begin(), manifest_.partitions.end(), [&](const auto& other) {
          return other.graph_path == partition.graph_path && other.nodes == partition.nodes;
        });
    const bool is_new = known == manifest_.partitions.end();
    if (is_new) {
      const std::string number = std::to_string(manifest_.partitions.size());
      partition.id = "p" + number;
      partition.function = "Random_" + number;
      manifest_.partitions.push_back(partition);
    } else {
      partition.id = known->id;
    }
    manifest::Context context;
    context.id = partition.id + "/" + scope->backend + "/any";
    if (manifest_.FindContext(context.id) != nullptr) return;
    context.partition = partition.id;
    context.backend = scope->backend;
    context.target = "any";
    context.entry = "entry";
    context.compiler = "tests";
    context.proof.reason = "nothing runs it";
    manifest_.contexts.push_back(context);
    scope->contexts.push_back(context.id);
    if (!careful_ || WhyNoCover(manifest_, *scope, flat_.view()).empty()) return;
    scope->contexts.pop_back();
    manifest_.contexts.pop_back();
    if (is_new) manifest_.partitions.pop_back();
  }

  const model::FlatModel& flat_;
  Random random_;
  const bool careful_;
  const std::map<std::string, const GraphView*> graphs_;
  std::map<const GraphView*, std::vector<std::vector<size_t>>> before_;
  std::vector<std::string> paths_;
  manifest::Manifest manifest_;
};

// The partitions of a scope as sets of (graph, node), and what each contains below its nodes.
class SlowScope {
 public:
  SlowScope(const manifest::Manifest& manifest, const manifest::Scope& scope,
            const model::ModelView& view)
      : graphs_(GraphsOf(view)) {
    for (const std::string& id : scope.contexts) {
      const std::string& name = manifest.FindContext(id)->partition;
      const manifest::Partition& partition = *manifest.FindPartition(name);
      const GraphView& graph = *graphs_.at(partition.graph_path);
      for (const std::string& key : partition.nodes) {
        owners_[{&graph, graph.producer.at(key)}].insert(name);
        members_[name].insert({&graph, graph.producer.at(key)});
      }
    }
  }

  std::string Why() const {
    for (const auto& [place, names] : owners_) {
      if (names.size() > 1) return "shared";
      for (const GraphView* graph = place.first; graph->parent; graph = graph->parent) {
        if (!OwnersOf(graph->parent, Holder(*graph)).empty()) return "in a graph of another";
      }
    }
    for (const auto& [name, places] : members_) {
      if (ComesBack(places)) return "a path comes back";
    }
    return "";
  }

  // "p3" of a set, "\"key\"" of a node alone.
  std::string NameOf(const GraphView& graph, size_t node) const {
    const auto owners = OwnersOf(&graph, node);
    return owners.empty() ? "\"" + graph.nodes[node].Key() + "\"" : *owners.begin();
  }

  std::set<std::string> OwnersOf(const GraphView* graph, size_t node) const {
    const auto found = owners_.find({graph, node});
    return found != owners_.end() ? found->second : std::set<std::string>();
  }

  bool IsStep(const GraphView& graph, const std::string& from, const std::string& to) const {
    for (size_t node = 0; node < graph.nodes.size(); ++node) {
      if (NameOf(graph, node) != from) continue;
      for (const size_t next : After(graph, node)) {
        if (NameOf(graph, next) == to) return true;
      }
    }
    return false;
  }

  const std::map<std::string, const GraphView*>& graphs() const { return graphs_; }

 private:
  static size_t Holder(const GraphView& graph) {
    for (size_t node = 0; node < graph.parent->nodes.size(); ++node) {
      for (const model::Attribute& attribute : graph.parent->nodes[node].attributes) {
        if (attribute.graph.get() == &graph) return node;
      }
    }
    return graph.parent->nodes.size();
  }

  using Place = std::pair<const GraphView*, size_t>;

  bool ComesBack(const std::set<Place>& start) const {
    std::set<Place> seen;
    std::vector<Place> open(start.begin(), start.end());
    while (!open.empty()) {
      const Place at = open.back();
      open.pop_back();
      for (const size_t reader : After(*at.first, at.second)) {
        const Place next(at.first, reader);
        if (start.contains(next)) {
          if (!start.contains(at)) return true;
          continue;
        }
        if (!seen.insert(next).second) continue;
        open.push_back(next);
        for (const std::string& name : OwnersOf(next.first, next.second)) {
          for (const Place& member : members_.at(name)) {
            if (seen.insert(member).second) open.push_back(member);
          }
        }
      }
    }
    return false;
  }

  const std::map<std::string, const GraphView*> graphs_;
  std::map<Place, std::set<std::string>> owners_;
  std::map<std::string, std::set<Place>> members_;
};

}  // namespace

manifest::Manifest RandomCovers(const model::FlatModel& flat, uint64_t seed, bool careful) {
  return Coverer(flat, seed, careful).Run();
}

std::string WhyNoCover(const manifest::Manifest& manifest, const manifest::Scope& scope,
                       const model::ModelView& view) {
  return SlowScope(manifest, scope, view).Why();
}

bool IsReason(const std::string& text, const manifest::Manifest& manifest,
              const manifest::Scope& scope, const model::ModelView& view) {
  const SlowScope slow(manifest, scope, view);
  if (text.find("\": in ") != std::string::npos) {
    const size_t start = text.find("node \"") + 6, end = text.find("\": in ");
    const std::string key = text.substr(start, end - start);
    return std::any_of(slow.graphs().begin(), slow.graphs().end(), [&](const auto& graph) {
      const auto made = graph.second->producer.find(key);
      if (made == graph.second->producer.end()) return false;
      return !slow.OwnersOf(graph.second, made->second).empty();
    });
  }
  std::vector<std::string> path;
  const size_t colon = text.rfind(": ");
  std::string rest = colon != std::string::npos ? text.substr(colon + 2) : "";
  for (size_t arrow = rest.find(" -> "); arrow != std::string::npos; arrow = rest.find(" -> ")) {
    path.push_back(rest.substr(0, arrow));
    rest = rest.substr(arrow + 4);
  }
  path.push_back(rest);
  if (path.size() < 3 || path.front() != path.back()) return false;
  return std::any_of(slow.graphs().begin(), slow.graphs().end(), [&](const auto& graph) {
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      if (!slow.IsStep(*graph.second, path[i], path[i + 1])) return false;
    }
    return true;
  });
}

}  // namespace backendctx::tests
