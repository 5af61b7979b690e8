#include "model/node_order.h"

#include <algorithm>
#include <unordered_set>

namespace backendctx::model {
namespace {

// One list of nodes, walked without recursion: graphs have paths of any length.
class Walk {
 public:
  Walk(const std::vector<const Node*>& nodes, const std::vector<std::vector<std::string>>& reads)
      : nodes_(nodes), reads_(reads), states_(nodes.size(), State::kNew) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const std::string& output : nodes[i]->outputs) {
        if (!output.empty()) maker_.emplace(output, i);
      }
    }
  }

  Status Run(const std::vector<std::string>& outputs) {
    for (const std::string& output : outputs) {
      const auto made = maker_.find(output);
      if (made != maker_.end()) BCTX_RETURN_IF_ERROR(Visit(made->second));
    }
    std::vector<size_t> rest;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (states_[i] == State::kNew) rest.push_back(i);
    }
    std::stable_sort(rest.begin(), rest.end(),
                     [this](size_t a, size_t b) { return nodes_[a]->Key() < nodes_[b]->Key(); });
    for (const size_t i : rest) BCTX_RETURN_IF_ERROR(Visit(i));
    return OkStatus();
  }

  std::vector<const Node*> Take() { return std::move(order_); }

 private:
  enum class State { kNew, kOpen, kDone };
  struct Step {
    size_t node = 0, next = 0;  // the next of its reads
  };

  Status Visit(size_t node) {
    std::vector<Step> open;
    const auto enter = [&](size_t at) -> Status {
      if (states_[at] == State::kDone) return OkStatus();
      if (states_[at] == State::kOpen) {
        return Status(StatusCode::kMalformed, "found a cycle among the nodes");
      }
      states_[at] = State::kOpen;
      open.push_back({at});
      return OkStatus();
    };
    BCTX_RETURN_IF_ERROR(enter(node));
    while (!open.empty()) {
      const size_t at = open.back().node;
      if (open.back().next == reads_[at].size()) {
        states_[at] = State::kDone;
        order_.push_back(nodes_[at]);
        open.pop_back();
        continue;
      }
      const auto made = maker_.find(reads_[at][open.back().next++]);
      if (made != maker_.end()) BCTX_RETURN_IF_ERROR(enter(made->second));
    }
    return OkStatus();
  }

  const std::vector<const Node*>& nodes_;
  const std::vector<std::vector<std::string>>& reads_;
  std::unordered_map<std::string, size_t> maker_;
  std::vector<State> states_;
  std::vector<const Node*> order_;
};

}  // namespace

bool Defines(const GraphView& graph, const std::string& value) {
  return graph.producer.count(value) || graph.initializers.count(value) ||
         graph.is_input.count(value);
}

std::vector<const Node*> Live(const GraphView& graph) {
  std::vector<const Node*> nodes;
  for (const Node& node : graph.nodes) {
    if (!ConstantNodeTensor(node)) nodes.push_back(&node);
  }
  return nodes;
}

std::vector<const Attribute*> SortedAttributes(const Node& node) {
  std::vector<const Attribute*> attributes;
  for (const Attribute& attribute : node.attributes) attributes.push_back(&attribute);
  std::stable_sort(attributes.begin(), attributes.end(),
                   [](const auto* a, const auto* b) { return a->name < b->name; });
  return attributes;
}

Result<std::vector<const Node*>> NodeOrders::Of(const std::vector<const Node*>& nodes,
                                                const std::vector<std::string>& outputs) {
  std::vector<std::vector<std::string>> reads;
  reads.reserve(nodes.size());
  for (const Node* node : nodes) {
    BCTX_ASSIGN_OR_RETURN(std::vector<std::string> read, Reads(*node));
    reads.push_back(std::move(read));
  }
  Walk walk(nodes, reads);
  BCTX_RETURN_IF_ERROR(walk.Run(outputs));
  return walk.Take();
}

Result<std::vector<std::string>> NodeOrders::Reads(const Node& node) {
  std::vector<std::string> reads = node.inputs;
  for (const Attribute* attribute : SortedAttributes(node)) {
    if (!attribute->graph) continue;
    BCTX_ASSIGN_OR_RETURN(const std::vector<std::string> captured, Captures(*attribute->graph));
    reads.insert(reads.end(), captured.begin(), captured.end());
  }
  return reads;
}

Result<std::vector<std::string>> NodeOrders::Captures(const GraphView& graph) {
  if (const auto known = captures_.find(&graph); known != captures_.end()) return known->second;
  BCTX_ASSIGN_OR_RETURN(const std::vector<const Node*> nodes, Of(Live(graph), graph.outputs));
  std::vector<std::string> captured;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      if (!Defines(graph, value) && seen.insert(value).second) captured.push_back(value);
    }
  };
  for (const Node* node : nodes) {
    BCTX_ASSIGN_OR_RETURN(const std::vector<std::string> read, Reads(*node));
    add(read);
  }
  add(graph.outputs);
  return captures_[&graph] = std::move(captured);
}

}  // namespace backendctx::model
