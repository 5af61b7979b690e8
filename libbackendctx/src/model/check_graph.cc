#include "model/check_graph.h"

#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "model/canonical.h"
#include "model/order.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::GraphProto;
using onnx::NodeProto;

std::string Quoted(const std::string& name) { return "\"" + base::Printable(name, 120) + "\""; }

std::string NodeName(const NodeProto& node) {
  const std::string& name = node.name().empty() ? KeyOf(node) : node.name();
  return fmt::format("node {} ({})", Quoted(name), base::Printable(node.op_type(), 60));
}

// The names that graphs around the one at hand define, innermost last.
using Around = std::vector<const NameSet*>;

// The order of nodes counts for nothing here: a value may be made behind its readers.
class GraphCheck {
 public:
  // `where` names the graph in messages.
  Status Graph(const GraphProto& graph, const std::string& where, const Around& around) {
    NameSet defined;
    for (const auto& input : graph.input()) {
      if (!input.name().empty() && !defined.insert(input.name()).second) {
        return Bad(where, fmt::format("input {}: found twice", Quoted(input.name())));
      }
    }
    for (const auto& tensor : graph.initializer()) defined.insert(tensor.name());
    for (const auto& sparse : graph.sparse_initializer()) defined.insert(sparse.values().name());
    BCTX_RETURN_IF_ERROR(Nodes(graph.node(), where, around, &defined));
    for (const auto& output : graph.output()) {
      if (!Known(output.name(), defined, around)) {
        return Bad(where, fmt::format("output {}: found no node, input or initializer that makes "
                                      "it",
                                      Quoted(output.name())));
      }
    }
    return OkStatus();
  }

  Status Function(const onnx::FunctionProto& function) {
    const std::string where = fmt::format("function {}", Quoted(function.name()));
    NameSet defined(function.input().begin(), function.input().end());
    BCTX_RETURN_IF_ERROR(Nodes(function.node(), where, {}, &defined));
    for (const std::string& output : function.output()) {
      if (!Known(output, defined, {})) {
        return Bad(where, fmt::format("output {}: found no node that makes it", Quoted(output)));
      }
    }
    return OkStatus();
  }

 private:
  static Status Bad(const std::string& where, const std::string& text) {
    return Status(StatusCode::kMalformed, where + ": " + text);
  }

  static bool Known(const std::string& name, const NameSet& defined, const Around& around) {
    if (defined.count(name)) return true;
    for (const NameSet* names : around) {
      if (names->count(name)) return true;
    }
    return false;
  }

  // `defined` has inputs and initializers; what the nodes make is added.
  template <typename List>
  Status Nodes(const List& nodes, const std::string& where, const Around& around,
               NameSet* defined) {
    for (const NodeProto& node : nodes) {
      for (const std::string& output : node.output()) {
        if (output.empty() || defined->insert(output).second) continue;
        return Bad(where, fmt::format("{}: makes value {}, which is there already", NodeName(node),
                                      Quoted(output)));
      }
    }
    Around inside = around;
    inside.push_back(defined);
    for (const NodeProto& node : nodes) BCTX_RETURN_IF_ERROR(Node(node, where, inside));
    return CheckAcyclic(nodes, where);
  }

  Status Node(const NodeProto& node, const std::string& where, const Around& inside) {
    for (const std::string& input : node.input()) {
      if (input.empty() || Known(input, {}, inside)) continue;
      return Bad(where, fmt::format("{}: reads value {}, found no node, input or initializer that "
                                    "makes it",
                                    NodeName(node), Quoted(input)));
    }
    for (const auto& attribute : node.attribute()) {
      const std::string place =
          fmt::format("{}, {} attribute {}", where, NodeName(node), Quoted(attribute.name()));
      if (attribute.has_g()) BCTX_RETURN_IF_ERROR(Graph(attribute.g(), place, inside));
      for (const GraphProto& graph : attribute.graphs()) {
        BCTX_RETURN_IF_ERROR(Graph(graph, place, inside));
      }
    }
    return OkStatus();
  }

  template <typename Nodes>
  static Status CheckAcyclic(const Nodes& nodes, const std::string& where) {
    const std::vector<std::vector<size_t>> after = NodesAfter(nodes);
    if (IsInOrder(after) || StableOrder(after)) return OkStatus();
    const size_t node = OnCycle(after);
    return Bad(where, fmt::format("{}: found a cycle through it",
                                  NodeName(nodes[static_cast<int>(node)])));
  }

  // A node on a cycle of a graph that has one. What still waits waits for something that does too;
  // going back that way, the first node met twice is on a cycle.
  static size_t OnCycle(const std::vector<std::vector<size_t>>& after) {
    const std::vector<size_t> waits = StillWaiting(after);
    std::unordered_map<size_t, size_t> before;  // one that it waits for, still there
    size_t at = 0;
    for (size_t i = 0; i < after.size(); ++i) {
      if (waits[i] == 0) continue;
      at = i;
      for (const size_t next : after[i]) before.emplace(next, i);
    }
    std::unordered_set<size_t> met;
    while (met.insert(at).second) at = before.at(at);
    return at;
  }
};

// Called functions, those that they call among them.
class Called {
 public:
  explicit Called(const onnx::ModelProto& model) {
    for (const auto& function : model.functions()) {
      by_name_[Key(function.domain(), function.name(), function.overload())] = &function;
    }
    if (by_name_.empty()) return;
    Collect(model.graph().node());
    for (size_t i = 0; i < functions_.size(); ++i) Collect(functions_[i]->node());
  }
  const std::vector<const onnx::FunctionProto*>& functions() const { return functions_; }

 private:
  static std::string Key(const std::string& domain, const std::string& name,
                         const std::string& overload) {
    return DomainOf(domain) + '\0' + name + '\0' + overload;
  }

  template <typename Nodes>
  void Collect(const Nodes& nodes) {
    for (const NodeProto& node : nodes) {
      const auto found = by_name_.find(Key(node.domain(), node.op_type(), node.overload()));
      if (found != by_name_.end() && seen_.insert(found->second).second) {
        functions_.push_back(found->second);
      }
      for (const GraphProto* graph : Subgraphs(node)) Collect(graph->node());
    }
  }

  std::unordered_map<std::string, const onnx::FunctionProto*> by_name_;
  std::unordered_set<const onnx::FunctionProto*> seen_;
  std::vector<const onnx::FunctionProto*> functions_;
};

}  // namespace

Status CheckRunnable(const onnx::ModelProto& model) {
  if (model.opset_import_size() == 0) {
    return Status(StatusCode::kMalformed, "found no opset import, expected at least one");
  }
  if (model.graph().output_size() == 0) {
    return Status(StatusCode::kMalformed, "found a graph without outputs, expected at least one");
  }
  BCTX_RETURN_IF_ERROR(GraphCheck().Graph(model.graph(), "main graph", {}));
  const Called called(model);
  for (const onnx::FunctionProto* function : called.functions()) {
    BCTX_RETURN_IF_ERROR(GraphCheck().Function(*function));
  }
  return OkStatus();
}

}  // namespace backendctx::model
