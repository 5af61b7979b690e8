#include "scope/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "scope/contraction.h"

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
    std::unordered_map<size_t, size_t> from;  // node outside -> the node before it
    std::vector<size_t> pending = partition_.nodes;
    while (!pending.empty()) {
      const size_t index = pending.back();
      pending.pop_back();
      for (const std::string& output : graph_.nodes[index].outputs) {
        const auto consumers = graph_.consumers.find(output);
        if (output.empty() || consumers == graph_.consumers.end()) continue;
        for (const size_t next : consumers->second) {
          if (!members_.count(next)) {
            if (graph_.sorted && next > partition_.nodes.back()) continue;
            if (from.emplace(next, index).second) pending.push_back(next);
          } else if (!members_.count(index)) {
            return NotConvex(from, index, next);
          }
        }
      }
    }
    return OkStatus();
  }

  Status NotConvex(const std::unordered_map<size_t, size_t>& from, size_t last, size_t back) const {
    std::vector<Item> path = {{false, back}};
    for (size_t at = last; !members_.count(at); at = from.at(at)) path.push_back({false, at});
    path.push_back({false, from.at(path.back().number)});
    std::reverse(path.begin(), path.end());
    std::string text;
    for (const Item& item : path) {
      text += fmt::format("{}\"{}\"", text.empty() ? "" : " -> ", graph_.nodes[item.number].Key());
    }
    return Invalid("not convex, a path leaves it and comes back: " + text);
  }

  const GraphView& graph_;
  Partition partition_;
  std::unordered_set<size_t> members_;
  Names made_;
};

using NameOf = std::function<std::string(size_t)>;

Status CheckDisjoint(const GraphView& graph, const std::vector<Partition>& partitions,
                     const NameOf& name) {
  std::unordered_map<size_t, size_t> owner;
  for (size_t p = 0; p < partitions.size(); ++p) {
    for (const size_t index : partitions[p].nodes) {
      if (index >= graph.nodes.size())
        return Invalid(fmt::format("{}: no node {}", name(p), index));
      const auto [other, is_new] = owner.emplace(index, p);
      if (is_new) continue;
      return Invalid(fmt::format("node \"{}\": in {} and in {}", graph.nodes[index].Key(),
                                 name(other->second), name(p)));
    }
  }
  return OkStatus();
}

}  // namespace

Result<Partition> Span(const GraphView& graph, std::vector<size_t> nodes) {
  return Spanner(graph, std::move(nodes)).Run();
}

Status CheckCover(const GraphView& graph, const std::vector<Partition>& partitions,
                  const std::vector<std::string>& names) {
  std::vector<const std::vector<size_t>*> sets;
  for (const Partition& partition : partitions) {
    if (partition.nodes.empty()) return Invalid("a partition without nodes");
    sets.push_back(&partition.nodes);
  }
  const NameOf name = [&](size_t p) {
    if (!names.empty()) return names[p];
    return fmt::format("{{\"{}\", ...}}", graph.nodes[partitions[p].nodes.front()].Key());
  };
  BCTX_RETURN_IF_ERROR(CheckDisjoint(graph, partitions, name));
  const std::vector<Item> cycle = FindCycle(graph, sets);
  if (cycle.empty()) return OkStatus();
  const auto count =
      std::count_if(cycle.begin(), cycle.end(), [](const Item& item) { return item.is_set; });
  const char* what = count == 0   ? "the graph has a cycle"
                     : count == 1 ? "not convex"
                                  : "not acyclic when contracted";
  return Invalid(fmt::format("{}: {}", what, PathText(graph, cycle, name)));
}

}  // namespace backendctx::scope
