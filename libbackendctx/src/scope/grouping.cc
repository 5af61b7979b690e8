// Two steps. Levels: a node's level is the highest of those before it, one more where takable and
// other nodes meet; takable nodes of one level that touch can be one set, because what leaves the
// set has a higher level and does not come back. That is linear and already good. Then neighbours
// of different levels are merged where no path leads around through something else.

#include "scope/grouping.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "model/order.h"

namespace backendctx::scope {
namespace {

using model::GraphView;

class Grouper {
 public:
  Grouper(const GraphView& graph, const std::vector<size_t>& takable)
      : graph_(graph), takable_(graph.nodes.size(), false), parent_(graph.nodes.size()) {
    for (const size_t node : takable) takable_[node] = true;
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  std::vector<std::vector<size_t>> Run() {
    FindEdges();
    const std::optional<std::vector<size_t>> order = model::StableOrder(after_);
    if (!order) return {};
    FindLevels(*order);
    for (const size_t node : *order) {
      for (const size_t next : after_[node]) {
        if (takable_[node] && takable_[next] && level_[node] == level_[next]) Join(node, next);
      }
    }
    MergeNeighbours(*order);
    return Sets();
  }

 private:
  void FindEdges() {
    after_.resize(graph_.nodes.size());
    for (size_t node = 0; node < graph_.nodes.size(); ++node) {
      for (const std::string& output : graph_.nodes[node].outputs) {
        const auto consumers = graph_.consumers.find(output);
        if (output.empty() || consumers == graph_.consumers.end()) continue;
        after_[node].insert(after_[node].end(), consumers->second.begin(), consumers->second.end());
      }
    }
  }

  void FindLevels(const std::vector<size_t>& order) {
    level_.assign(order.size(), 0);
    place_.resize(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      const size_t node = order[i];
      place_[node] = i;
      for (const size_t next : after_[node]) {
        const size_t least = level_[node] + (takable_[node] != takable_[next] ? 1 : 0);
        level_[next] = std::max(level_[next], least);
      }
    }
  }

  size_t Root(size_t node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }
  void Join(size_t a, size_t b) { parent_[Root(b)] = Root(a); }

  void MergeNeighbours(const std::vector<size_t>& order) {
    members_.resize(order.size());
    first_.resize(order.size());
    last_.resize(order.size());
    for (const size_t node : order) {
      std::vector<size_t>& members = members_[Root(node)];
      if (members.empty()) first_[Root(node)] = place_[node];
      last_[Root(node)] = place_[node];
      members.push_back(node);
    }
    for (const size_t node : order) {
      if (!takable_[node]) continue;
      for (const size_t next : after_[node]) {
        const size_t from = Root(node), to = Root(next);
        if (!takable_[next] || from == to || HasWayAround(from, to)) continue;
        Join(from, to);
        const size_t root = Root(from), other = root == from ? to : from;
        members_[root].insert(members_[root].end(), members_[other].begin(), members_[other].end());
        members_[other].clear();
        first_[root] = std::min(first_[from], first_[to]);
        last_[root] = std::max(last_[from], last_[to]);
      }
    }
  }

  // Does a path lead from one set to another through something that is in neither?
  bool HasWayAround(size_t from, size_t to) {
    const size_t last = last_[to];  // what begins behind it leads nowhere near
    std::vector<size_t> waiting;
    std::unordered_set<size_t> seen{from};
    const auto visit = [&](size_t set, bool is_first) {
      for (const size_t node : members_[set]) {
        for (const size_t next : after_[node]) {
          const size_t reached = Root(next);
          if (reached == to && !is_first) return true;
          if (reached == to || first_[reached] > last || !seen.insert(reached).second) continue;
          waiting.push_back(reached);
        }
      }
      return false;
    };
    if (visit(from, true)) return true;
    while (!waiting.empty()) {
      const size_t set = waiting.back();
      waiting.pop_back();
      if (visit(set, false)) return true;
    }
    return false;
  }

  std::vector<std::vector<size_t>> Sets() {
    std::vector<std::vector<size_t>> sets;
    for (std::vector<size_t>& members : members_) {
      if (members.empty() || !takable_[members.front()]) continue;
      std::sort(members.begin(), members.end());
      sets.push_back(std::move(members));
    }
    std::sort(sets.begin(), sets.end());
    return sets;
  }

  const GraphView& graph_;
  std::vector<bool> takable_;
  std::vector<std::vector<size_t>> after_;  // of each node: those that read what it makes
  std::vector<size_t> level_, place_;       // place: in topological order
  std::vector<size_t> parent_;              // sets of nodes, as a forest
  std::vector<std::vector<size_t>> members_;
  std::vector<size_t> first_, last_;  // places of each set's outermost members
};

}  // namespace

std::vector<std::vector<size_t>> Group(const GraphView& graph, const std::vector<size_t>& takable) {
  return Grouper(graph, takable).Run();
}

}  // namespace backendctx::scope
