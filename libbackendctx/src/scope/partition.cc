#include "scope/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "model/order.h"

namespace backendctx::scope {
namespace {

using model::GraphView;
using model::Node;

Status Invalid(const std::string& text) { return Status(StatusCode::kInvalidArgument, text); }

using Names = std::unordered_set<std::string>;

// What a node reads from its own graph or from outside of it, in order of first use: inputs, then
// what its subgraphs capture.
class Reader {
 public:
  explicit Reader(std::vector<std::string>* reads) : reads_(reads) {}

  void Visit(const Node& node) {
    for (const std::string& input : node.inputs) Read(input);
    for (const model::Attribute& attribute : node.attributes) {
      if (attribute.graph) VisitGraph(*attribute.graph);
    }
  }

 private:
  void VisitGraph(const GraphView& graph) {
    Names& defined = inside_.emplace_back(graph.inputs.begin(), graph.inputs.end());
    for (const auto& [name, info] : graph.initializers) defined.insert(name);
    for (const auto& [name, node] : graph.producer) defined.insert(name);
    for (const Node& node : graph.nodes) Visit(node);
    for (const std::string& output : graph.outputs) Read(output);
    inside_.pop_back();
  }

  void Read(const std::string& value) {
    if (value.empty()) return;
    for (const Names& defined : inside_) {
      if (defined.count(value)) return;
    }
    reads_->push_back(value);
  }

  std::vector<std::string>* const reads_;
  std::vector<Names> inside_;
};

class Spanner {
 public:
  Spanner(const GraphView& graph, std::vector<size_t> nodes) : graph_(graph) {
    partition_.nodes = std::move(nodes);
    std::sort(partition_.nodes.begin(), partition_.nodes.end());
    members_.insert(partition_.nodes.begin(), partition_.nodes.end());
  }

  Result<Partition> Run() {
    BCTX_RETURN_IF_ERROR(CheckNodes());
    FindOutputs();
    FindInputs();
    BCTX_RETURN_IF_ERROR(CheckConvex());
    return std::move(partition_);
  }

 private:
  Status CheckNodes() const {
    if (partition_.nodes.empty()) return Invalid("a partition without nodes");
    if (partition_.nodes.back() >= graph_.nodes.size()) {
      return Invalid(fmt::format("no node {}, expected less than {}", partition_.nodes.back(),
                                 graph_.nodes.size()));
    }
    if (members_.size() != partition_.nodes.size()) return Invalid("a node is named twice");
    for (const size_t index : partition_.nodes) {
      const Node& node = graph_.nodes[index];
      if (node.Key().empty()) return Invalid(fmt::format("node {} makes no value", index));
      if (model::ConstantNodeTensor(node)) {
        return Invalid(fmt::format("node \"{}\" is a Constant, which is never inside", node.Key()));
      }
    }
    return OkStatus();
  }

  bool IsReadOutside(const std::string& value) const {
    if (graph_.is_output.count(value)) return true;
    const auto found = graph_.consumers.find(value);
    if (found == graph_.consumers.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(),
                       [this](size_t node) { return !members_.count(node); });
  }

  void FindOutputs() {
    for (const size_t index : partition_.nodes) {
      for (const std::string& output : graph_.nodes[index].outputs) {
        if (output.empty() || !made_.insert(output).second) continue;
        if (IsReadOutside(output)) partition_.outputs.push_back(output);
      }
    }
  }

  void FindInputs() {
    Names seen;
    for (const size_t index : partition_.nodes) {
      std::vector<std::string> reads;
      Reader(&reads).Visit(graph_.nodes[index]);
      for (const std::string& value : reads) {
        if (!made_.count(value) && seen.insert(value).second) AddInput(value);
      }
    }
  }

  void AddInput(const std::string& value) {
    const std::optional<model::TensorInfo> constant = graph_.Constant(value);
    if (!constant) {
      partition_.activations.push_back(value);
    } else if (constant->size >= model::kInlineLimit) {
      partition_.weights.push_back(value);
    } else {
      partition_.constants.push_back(value);
    }
  }

  // Follows everything that depends on the partition outside of it; none may come back in. In a
  // sorted graph nothing behind the last member can.
  Status CheckConvex() const {
    std::unordered_map<size_t, size_t> reached;  // node -> the member that it depends on
    std::vector<size_t> pending = partition_.nodes;
    for (const size_t index : pending) reached.emplace(index, index);
    while (!pending.empty()) {
      const size_t index = pending.back();
      pending.pop_back();
      for (const std::string& output : graph_.nodes[index].outputs) {
        const auto consumers = graph_.consumers.find(output);
        if (output.empty() || consumers == graph_.consumers.end()) continue;
        for (const size_t next : consumers->second) {
          if (!members_.count(next)) {
            if (graph_.sorted && next > partition_.nodes.back()) continue;
            if (reached.emplace(next, reached.at(index)).second) pending.push_back(next);
          } else if (!members_.count(index)) {
            return Invalid(
                fmt::format("not convex: a path leaves at node \"{}\" and comes back at "
                            "node \"{}\" through node \"{}\"",
                            graph_.nodes[reached.at(index)].Key(), graph_.nodes[next].Key(),
                            graph_.nodes[index].Key()));
          }
        }
      }
    }
    return OkStatus();
  }

  const GraphView& graph_;
  Partition partition_;
  std::unordered_set<size_t> members_;
  Names made_;
};

// The item that each node belongs to: a partition's number, or one behind for each node alone.
Result<std::vector<size_t>> Items(const GraphView& graph,
                                  const std::vector<Partition>& partitions) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  std::vector<size_t> item(graph.nodes.size(), kNone);
  for (size_t p = 0; p < partitions.size(); ++p) {
    for (const size_t index : partitions[p].nodes) {
      if (index >= item.size()) return Invalid(fmt::format("partition {}: no node {}", p, index));
      if (item[index] != kNone) {
        const Partition& other = partitions[item[index]];
        return Invalid(
            fmt::format("node \"{}\": in the partition of node \"{}\" and in that of "
                        "node \"{}\"",
                        graph.nodes[index].Key(), graph.nodes[other.nodes.front()].Key(),
                        graph.nodes[partitions[p].nodes.front()].Key()));
      }
      item[index] = p;
    }
  }
  size_t next = partitions.size();
  for (size_t& owner : item) {
    if (owner == kNone) owner = next++;
  }
  return item;
}

// Two partitions that wait for each other cannot both be one node. Names one node of each.
Status Cycle(const GraphView& graph, const std::vector<Partition>& partitions,
             const std::vector<std::vector<size_t>>& after) {
  const std::vector<size_t> waits = model::StillWaiting(after);
  std::vector<std::string> stuck;
  for (size_t p = 0; p < partitions.size() && stuck.size() < 2; ++p) {
    if (waits[p] > 0) stuck.push_back(graph.nodes[partitions[p].nodes.front()].Key());
  }
  if (stuck.size() < 2) return Invalid("the graph has a cycle");
  return Invalid(
      fmt::format("partitions wait for each other: that of node \"{}\" and that of node "
                  "\"{}\"",
                  stuck[0], stuck[1]));
}

}  // namespace

Result<Partition> Span(const GraphView& graph, std::vector<size_t> nodes) {
  return Spanner(graph, std::move(nodes)).Run();
}

Status CheckCover(const GraphView& graph, const std::vector<Partition>& partitions) {
  for (const Partition& partition : partitions) {
    if (partition.nodes.empty()) return Invalid("a partition without nodes");
  }
  BCTX_ASSIGN_OR_RETURN(const std::vector<size_t> item, Items(graph, partitions));
  size_t count = partitions.size();
  for (const size_t owner : item) count = std::max(count, owner + 1);
  std::vector<std::vector<size_t>> after(count);
  for (const auto& [value, maker] : graph.producer) {
    const auto consumers = graph.consumers.find(value);
    if (consumers == graph.consumers.end()) continue;
    for (const size_t consumer : consumers->second) {
      if (item[consumer] != item[maker]) after[item[maker]].push_back(item[consumer]);
    }
  }
  if (model::StableOrder(after)) return OkStatus();
  return Cycle(graph, partitions, after);
}

}  // namespace backendctx::scope
