#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "authoring/regions.h"
#include "backendctx/operators.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx {
namespace authoring {
namespace {

constexpr char kOutside[] = "no part of anything that a backend of this package takes";
constexpr char kPlain[] = "a plain model: nothing was compiled";
constexpr char kInFunction[] = "inside a function of the model's own";

// A node by graph and key, as manifests name it.
std::string PlaceOf(const std::string& graph_path, const std::string& key) {
  return graph_path + '\n' + key;
}

using BackendAndTarget = std::pair<std::string, std::string>;  // backend, target

// The nodes that contexts cover, and those that only a legalised body does.
class Covers {
 public:
  Covers(const manifest::Manifest& manifest, const std::string& variant) {
    std::unordered_map<std::string_view, std::set<BackendAndTarget>> compilers;  // by partition
    for (const manifest::Context& context : manifest.contexts) {
      compilers[context.partition].emplace(context.backend, context.target);
    }
    for (const manifest::Partition& partition : manifest.partitions) {
      if (partition.variant != variant) continue;
      const auto found = compilers.find(partition.id);
      for (const std::string& node : partition.nodes) {
        std::set<BackendAndTarget>& of_node = nodes_[PlaceOf(partition.graph_path, node)];
        if (found != compilers.end()) of_node.insert(found->second.begin(), found->second.end());
      }
    }
  }

  // Null: in no partition.
  const std::set<BackendAndTarget>* Find(const std::string& place) const {
    const auto found = nodes_.find(place);
    return found == nodes_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<std::string, std::set<BackendAndTarget>> nodes_;
};

// Why nodes that look like something are not compiled, as packing says it.
class Reasons {
 public:
  Reasons(const model::FlatModel& flat, const std::string& variant) {
    if (const Status packable = flat.CheckPackable(); !packable.ok()) {
      unpackable_ = packable.message();
      return;
    }
    const Result<Regions> regions = FindRegions(flat, variant);
    if (!regions) return;
    for (const Region& region : regions->regions) {
      for (const std::string& node : region.partition.nodes) {
        found_.emplace(PlaceOf(region.partition.graph_path, node), region.attention->form);
      }
    }
    for (const UntakenRegion& region : regions->not_taken) {
      untaken_.emplace(PlaceOf(region.graph_path, region.node), region.reason);
    }
  }

  std::string Of(const model::GraphView& graph, const model::Node& node, bool is_package) const {
    if (!unpackable_.empty()) return "the model cannot be packed: " + unpackable_;
    const std::string place = PlaceOf(graph.path, node.Key());
    // Reports name a node by its name where it has one.
    for (const std::string& at : {place, PlaceOf(graph.path, node.name)}) {
      if (const auto why = untaken_.find(at); why != untaken_.end()) return why->second;
    }
    if (const auto form = found_.find(place); form != found_.end()) {
      return is_package
                 ? fmt::format("attention ({}) for which no backend made code", form->second)
                 : fmt::format("attention ({}); packing offers it to backends", form->second);
    }
    return is_package ? kOutside : kPlain;
  }

 private:
  std::string unpackable_;
  std::unordered_map<std::string, std::string> found_, untaken_;
};

class Lister {
 public:
  Lister(const Package& package, const model::FlatModel& flat, const std::string& variant)
      : flat_(flat),
        is_package_(package.has_container()),
        covers_(package.manifest(), variant),
        reasons_(flat, variant) {
    const auto& functions = flat.view().local_functions;
    functions_.insert(functions.begin(), functions.end());
  }

  std::vector<OperatorUse> Run() {
    for (const model::GraphView* graph : model::AllGraphs(flat_.view())) {
      for (const model::Node& node : graph->nodes) AddNode(*graph, node);
    }
    for (const auto& body : flat_.view().function_bodies) {
      if (body == nullptr) continue;
      for (const model::GraphView* graph : model::AllGraphs(*body)) {
        for (const model::Node& node : graph->nodes) ++Of(node).reasons[kInFunction];
      }
    }
    std::vector<OperatorUse> uses;
    for (auto& [name, counts] : counts_) uses.push_back(Finish(name, counts));
    return uses;
  }

 private:
  struct Counts {
    uint64_t compiled = 0;
    std::map<BackendAndTarget, uint64_t> compilers;
    std::map<std::string, uint64_t> reasons;
  };
  using Name = std::pair<std::string, std::string>;  // domain, operator

  Counts& Of(const model::Node& node) { return counts_[{node.domain, node.op_type}]; }

  void AddNode(const model::GraphView& graph, const model::Node& node) {
    Counts& counts = Of(node);
    const std::set<BackendAndTarget>* compilers = covers_.Find(PlaceOf(graph.path, node.Key()));
    if (compilers != nullptr && !compilers->empty()) {
      ++counts.compiled;
      for (const BackendAndTarget& compiler : *compilers) ++counts.compilers[compiler];
    } else if (compilers != nullptr) {
      ++counts.reasons["in a function of ours for runtimes without it; no backend made code"];
    } else {
      ++counts.reasons[reasons_.Of(graph, node, is_package_)];
    }
  }

  OperatorUse Finish(const Name& name, const Counts& counts) const {
    OperatorUse use;
    std::tie(use.domain, use.op_type) = name;
    use.is_function = functions_.contains(use.domain + "::" + use.op_type);
    use.compiled = use.nodes = counts.compiled;
    for (const auto& [compiler, nodes] : counts.compilers) {
      use.compilers.push_back({compiler.first, compiler.second, nodes});
    }
    for (const auto& [reason, nodes] : counts.reasons) {
      use.reasons.push_back({reason, nodes});
      use.nodes += nodes;
    }
    std::stable_sort(
        use.reasons.begin(), use.reasons.end(),
        [](const OperatorReason& a, const OperatorReason& b) { return a.nodes > b.nodes; });
    return use;
  }

  const model::FlatModel& flat_;
  const bool is_package_;
  const Covers covers_;
  const Reasons reasons_;
  std::unordered_set<std::string> functions_;
  std::map<Name, Counts> counts_;
};

}  // namespace
}  // namespace authoring

Result<OperatorList> ListOperators(const Package& package, const std::string& variant) {
  const Package::State& state = package.state();
  OperatorList list;
  if (!state.reader) {
    BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat,
                          model::FlatModel::Load(state.front_path, model::LoadLimits{}));
    list.operators = authoring::Lister(package, flat, "").Run();
    return list;
  }
  list.variant = variant.empty() ? state.VariantName() : variant;
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, package::OpenGraph(state, list.variant));
  list.operators = authoring::Lister(package, flat, list.variant).Run();
  return list;
}

}  // namespace backendctx
