#include "scope/contraction.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "model/order.h"

namespace backendctx::scope {
namespace {

using model::GraphView;

constexpr size_t kNone = static_cast<size_t>(-1);

class Contraction {
 public:
  Contraction(const GraphView& graph, const std::vector<const std::vector<size_t>*>& sets,
              const std::vector<size_t>* within)
      : item_(graph.nodes.size(), kNone), sets_(sets.size()), after_(sets.size()) {
    for (size_t set = 0; set < sets.size(); ++set) {
      for (const size_t node : *sets[set]) item_[node] = set;
    }
    if (within) {
      for (const size_t node : *within) AddNode(node);
    } else {
      for (size_t node = 0; node < item_.size(); ++node) AddNode(node);
    }
    for (const size_t node : counted_) AddEdges(graph, node);
  }

  std::vector<Item> FindCycle() const {
    waits_ = model::StillWaiting(after_);
    const size_t start = OnCycle();
    if (start == kNone) return {};
    std::vector<Item> cycle;
    for (const size_t item : ShortestFrom(start)) {
      cycle.push_back({item < sets_, item < sets_ ? item : nodes_[item - sets_]});
    }
    return cycle;
  }

 private:
  void AddNode(size_t node) {
    counted_.push_back(node);
    if (item_[node] != kNone) return;
    item_[node] = after_.size();
    nodes_.push_back(node);
    after_.emplace_back();
  }

  void AddEdges(const GraphView& graph, size_t node) {
    for (const std::string& output : graph.nodes[node].outputs) {
      const auto consumers = graph.consumers.find(output);
      if (output.empty() || consumers == graph.consumers.end()) continue;
      for (const size_t consumer : consumers->second) {
        // What does not count was given no item.
        if (item_[consumer] == kNone || item_[consumer] == item_[node]) continue;
        after_[item_[node]].push_back(item_[consumer]);
      }
    }
  }

  bool IsStuck(size_t item) const { return waits_[item] > 0; }

  // Back from the first item that waits, always to one that waits too, until one comes again.
  size_t OnCycle() const {
    std::vector<size_t> before(after_.size(), kNone);
    size_t at = kNone;
    for (size_t item = after_.size(); item-- > 0;) {
      if (!IsStuck(item)) continue;
      at = item;
      for (const size_t next : after_[item]) before[next] = item;
    }
    if (at == kNone) return kNone;
    std::vector<bool> seen(after_.size(), false);
    for (; !seen[at]; at = before[at]) seen[at] = true;
    // The first of the sets: they say more than nodes.
    size_t first = at;
    for (size_t item = before[at]; item != at; item = before[item]) first = std::min(first, item);
    return first;
  }

  std::vector<size_t> ShortestFrom(size_t start) const {
    std::vector<size_t> from(after_.size(), kNone);
    std::deque<size_t> open = {start};
    while (from[start] == kNone) {
      const size_t at = open.front();
      open.pop_front();
      for (const size_t next : after_[at]) {
        if (!IsStuck(next) || from[next] != kNone) continue;
        from[next] = at;
        open.push_back(next);
      }
    }
    std::vector<size_t> cycle = {start};
    for (size_t at = from[start]; at != start; at = from[at]) cycle.push_back(at);
    std::reverse(cycle.begin() + 1, cycle.end());
    return cycle;
  }

  std::vector<size_t> item_;  // of each node: a set's number, or one behind for each node alone
  const size_t sets_;
  std::vector<size_t> nodes_, counted_;
  std::vector<std::vector<size_t>> after_;
  mutable std::vector<size_t> waits_;
};

}  // namespace

std::vector<Item> FindCycle(const GraphView& graph,
                            const std::vector<const std::vector<size_t>*>& sets,
                            const std::vector<size_t>* within) {
  return Contraction(graph, sets, within).FindCycle();
}

std::string PathText(const GraphView& graph, const std::vector<Item>& cycle,
                     const std::function<std::string(size_t)>& name_of_set) {
  std::string text;
  const auto add = [&](const Item& item) {
    text += item.is_set ? name_of_set(item.number)
                        : fmt::format("\"{}\"", graph.nodes[item.number].Key());
  };
  for (const Item& item : cycle) {
    add(item);
    text += " -> ";
  }
  add(cycle.front());
  return text;
}

}  // namespace backendctx::scope
