#include "scope/nesting.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "scope/contraction.h"

namespace backendctx::scope {
namespace {

using model::GraphView;

constexpr size_t kNoSet = static_cast<size_t>(-1);

class Nester {
 public:
  Nester(const model::ModelView& model, const std::vector<NodeSet>& sets)
      : sets_(sets), holders_(HoldersOf(model)), around_(sets.size(), kNoSet) {}

  // `one_by_one`: looks for cycles with every set; else `HasCycle` tells afterwards.
  std::vector<std::string> Run(const std::vector<size_t>& order, bool one_by_one) {
    std::vector<std::string> reasons(sets_.size());
    for (const size_t set : order) {
      reasons[set] = Crossing(set);
      if (reasons[set].empty() && one_by_one) reasons[set] = Cycle(set);
      if (reasons[set].empty()) Take(set);
    }
    return reasons;
  }

  bool HasCycle() const {
    std::map<Place, std::vector<const std::vector<size_t>*>> levels;  // graph, set around or kNoSet
    for (const size_t set : taken_) {
      levels[{sets_[set].graph, around_[set]}].push_back(&sets_[set].nodes);
    }
    return std::any_of(levels.begin(), levels.end(), [this](const auto& level) {
      const auto& [graph, around] = level.first;
      return !FindCycle(*graph, level.second, Within(around)).empty();
    });
  }

 private:
  const std::vector<size_t>* Within(size_t around) const {
    return around == kNoSet ? nullptr : &sets_[around].nodes;
  }

  // The nodes that hold the graph, from the inside out.
  std::vector<Place> Chain(const GraphView* graph) const {
    std::vector<Place> chain;
    for (auto at = holders_.find(graph); at != holders_.end();
         at = holders_.find(at->second.first)) {
      chain.push_back(at->second);
    }
    return chain;
  }

  std::string Crossing(size_t set) const {
    const NodeSet& one = sets_[set];
    std::map<size_t, size_t> shared;  // taken set -> how many nodes
    for (const size_t node : one.nodes) {
      const Place place(one.graph, node);
      if (const auto owners = owners_.find(place); owners != owners_.end()) {
        for (const size_t owner : owners->second) ++shared[owner];
      }
      if (const auto inner = below_.find(place); inner != below_.end() && one.is_whole) {
        return fmt::format("{}, which lies inside it, is a function", Name(inner->second.front()));
      }
    }
    for (const Place& place : Chain(one.graph)) {
      const auto owners = owners_.find(place);
      if (owners == owners_.end()) continue;
      for (const size_t owner : owners->second) {
        if (sets_[owner].is_whole) return Inside(owner);
      }
    }
    for (const auto& [other, count] : shared) {
      const bool inside = count == one.nodes.size(), around = count == sets_[other].nodes.size();
      if (inside == around) return fmt::format("it crosses {}, which is a function", Name(other));
      if (inside && sets_[other].is_whole) return Inside(other);
      if (around && one.is_whole) {
        return fmt::format("{}, which lies inside it, is a function", Name(other));
      }
    }
    return "";
  }

  std::string Name(size_t set) const { return "partition " + sets_[set].name; }
  std::string Inside(size_t owner) const {
    return fmt::format("it lies inside {}, whose function has a body of its own", Name(owner));
  }

  // The smallest taken set of the same graph around it.
  size_t Around(size_t set) const {
    const auto owners = owners_.find({sets_[set].graph, sets_[set].nodes.front()});
    size_t around = kNoSet;
    if (owners == owners_.end()) return around;
    for (const size_t owner : owners->second) {
      const size_t size = sets_[owner].nodes.size();
      if (size <= sets_[set].nodes.size()) continue;  // inside
      if (around == kNoSet || size < sets_[around].nodes.size()) around = owner;
    }
    return around;
  }

  // Taken sets that are on its level without it and inside it with it.
  std::vector<size_t> Inner(size_t set, size_t around) const {
    std::set<size_t> inner;
    for (const size_t node : sets_[set].nodes) {
      const auto owners = owners_.find({sets_[set].graph, node});
      if (owners == owners_.end()) continue;
      for (const size_t owner : owners->second) {
        if (owner != around && around_[owner] == around) inner.insert(owner);
      }
    }
    return {inner.begin(), inner.end()};
  }

  std::string Cycle(size_t set) const {
    const size_t around = Around(set);
    const std::vector<size_t> inner = Inner(set, around);
    std::vector<size_t> level = {set};
    for (const size_t other : taken_) {
      if (sets_[other].graph != sets_[set].graph || around_[other] != around) continue;
      if (!std::binary_search(inner.begin(), inner.end(), other)) level.push_back(other);
    }
    std::vector<const std::vector<size_t>*> nodes;
    for (const size_t other : level) nodes.push_back(&sets_[other].nodes);
    const std::vector<Item> cycle = FindCycle(*sets_[set].graph, nodes, Within(around));
    if (cycle.empty()) return "";
    return "with others that are functions it leaves a cycle: " +
           PathText(*sets_[set].graph, cycle,
                    [&](size_t number) { return sets_[level[number]].name; });
  }

  void Take(size_t set) {
    around_[set] = Around(set);
    for (const size_t inner : Inner(set, around_[set])) around_[inner] = set;
    for (const size_t node : sets_[set].nodes) owners_[{sets_[set].graph, node}].push_back(set);
    for (const Place& place : Chain(sets_[set].graph)) below_[place].push_back(set);
    taken_.push_back(set);
  }

  const std::vector<NodeSet>& sets_;
  const Holders holders_;
  std::vector<size_t> taken_;
  std::vector<size_t> around_;  // of taken sets the smallest of the same graph around each
  std::map<Place, std::vector<size_t>> owners_;  // taken sets that have the node
  std::map<Place, std::vector<size_t>> below_;   // taken sets in graphs that the node holds
};

}  // namespace

Holders HoldersOf(const model::ModelView& model) {
  Holders holders;
  for (const GraphView* graph : model::AllGraphs(model)) {
    for (size_t node = 0; node < graph->nodes.size(); ++node) {
      for (const model::Attribute& attribute : graph->nodes[node].attributes) {
        if (attribute.graph) holders.emplace(attribute.graph.get(), Place(graph, node));
      }
    }
  }
  return holders;
}

std::vector<std::string> Nest(const model::ModelView& model, const std::vector<NodeSet>& sets,
                              const std::vector<size_t>& order) {
  Nester all(model, sets);
  std::vector<std::string> reasons = all.Run(order, false);
  if (!all.HasCycle()) return reasons;
  return Nester(model, sets).Run(order, true);
}

}  // namespace backendctx::scope
