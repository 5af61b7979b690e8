// A body is the partition's nodes in a stable topological order, with the boundary renamed to
// formals: activations x0 x1 ..., weights w0 ..., constants c0 ..., outputs y0 .... Values inside
// keep their names, so a body can be read beside its model.
//
// Floating point (and bool) constants become operands: converters that turn a model's weights to
// fp16 do not look into functions, and a body with an fp32 constant inside would no longer
// type-check. Integers are copied in when they were Constant nodes: shape inference reads them
// there.
#include "model/function_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "model/canonical.h"
#include "model/constants.h"
#include "model/order.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

// In a function, ONNX Runtime knows the default domain by its short name alone.
template <typename Message>
void OnlyShortDefault(Message* message) {
  if (message->domain() == "ai.onnx") message->set_domain("");
}

using onnx::NodeProto;

class BodyBuilder {
 public:
  BodyBuilder(const FlatModel::State& state, const EncodedPartition& partition)
      : state_(state), graphs_(state.graphs), partition_(partition) {}

  Result<Body> Build() {
    BCTX_RETURN_IF_ERROR(FindNodes());
    BCTX_RETURN_IF_ERROR(CheckNodes());
    BCTX_RETURN_IF_ERROR(CheckOutputs());
    BCTX_RETURN_IF_ERROR(SortOperands());
    BCTX_RETURN_IF_ERROR(FindReads());
    NameFormals();
    BCTX_RETURN_IF_ERROR(AddImports());
    if (!partition_.legal_body.empty()) return TakeLegalBody();
    return AddNodes();
  }

 private:
  Status Fail(StatusCode code, const std::string& text) const {
    return Status(code, fmt::format("partition \"{}\": {}", partition_.id, text));
  }
  Status Invalid(const std::string& text) const { return Fail(StatusCode::kInvalidArgument, text); }

  const NodeProto& Proto(size_t index) const {
    return body_.graph.proto->node(static_cast<int>(index));
  }

  Status FindNodes() {
    const auto graph = graphs_.find(partition_.graph_path);
    if (graph == graphs_.end()) {
      return Invalid(fmt::format("no graph \"{}\"", partition_.graph_path));
    }
    body_.graph = graph->second;
    const GraphView& view = *body_.graph.view;
    for (const std::string& key : partition_.nodes) {
      const auto found = view.producer.find(key);
      if (found == view.producer.end() || view.nodes[found->second].Key() != key) {
        return Invalid(fmt::format("no node \"{}\"", key));
      }
      body_.members.push_back(found->second);
    }
    std::sort(body_.members.begin(), body_.members.end());
    is_member_.insert(body_.members.begin(), body_.members.end());
    if (body_.members.empty() || is_member_.size() != body_.members.size()) {
      return Invalid("no nodes, or one twice");
    }
    return OkStatus();
  }

  Status CheckNodes() {
    std::unordered_set<std::string> local;
    for (const auto& function : state_.stored.functions()) {
      local.insert(DomainOf(function.domain()) + "::" + function.name());
    }
    for (const size_t index : body_.members) {
      NodeProto node = Proto(index);
      if (ConstantNodeTensor(body_.graph.view->nodes[index])) {
        return Invalid(fmt::format("node \"{}\" is a Constant", KeyOf(node)));
      }
      BCTX_RETURN_IF_ERROR(CheckOne(node, local));
      BCTX_RETURN_IF_ERROR(
          VisitTensors(&node, [&](onnx::TensorProto* tensor, const std::string& place) -> Status {
            if (tensor->data_location() != onnx::TensorProto::EXTERNAL) return OkStatus();
            return Fail(StatusCode::kUnimplemented,
                        fmt::format("{} of {} bytes and more cannot be inside a partition", place,
                                    kInlineLimit));
          }));
    }
    return OkStatus();
  }

  // The node and the nodes of its subgraphs.
  Status CheckOne(const NodeProto& node, const std::unordered_set<std::string>& local) {
    domains_.insert(DomainOf(node.domain()));
    if (local.count(DomainOf(node.domain()) + "::" + node.op_type())) {
      return Fail(StatusCode::kUnimplemented,
                  fmt::format("node \"{}\" calls a function of the model", KeyOf(node)));
    }
    for (const auto& attribute : node.attribute()) {
      if (attribute.ref_attr_name().empty()) continue;
      return Fail(StatusCode::kUnimplemented,
                  fmt::format("node \"{}\" refers to attribute \"{}\" of a function", KeyOf(node),
                              attribute.ref_attr_name()));
    }
    for (const onnx::GraphProto* graph : Subgraphs(node)) {
      for (const NodeProto& inner : graph->node()) BCTX_RETURN_IF_ERROR(CheckOne(inner, local));
    }
    return OkStatus();
  }

  Status CheckOutputs() {
    const GraphView& view = *body_.graph.view;
    const std::unordered_set<std::string> named(partition_.outputs.begin(),
                                                partition_.outputs.end());
    for (const size_t index : body_.members) {
      for (const std::string& output : view.nodes[index].outputs) {
        if (output.empty()) continue;
        made_.insert(output);
        if (!named.count(output) && IsReadOutside(output)) {
          return Invalid(fmt::format("value \"{}\" is read outside, but is no output", output));
        }
      }
    }
    for (const std::string& output : partition_.outputs) {
      if (!made_.count(output)) {
        return Invalid(fmt::format("output \"{}\" is not made inside", output));
      }
    }
    if (named.size() == partition_.outputs.size()) return OkStatus();
    return Invalid("an output is named twice");
  }

  bool IsReadOutside(const std::string& value) const {
    const GraphView& view = *body_.graph.view;
    if (view.is_output.count(value)) return true;
    const auto consumers = view.consumers.find(value);
    if (consumers == view.consumers.end()) return false;
    return std::any_of(consumers->second.begin(), consumers->second.end(),
                       [this](size_t node) { return !is_member_.count(node); });
  }

  Result<ConstantPlace> Place(const std::string& value) const {
    for (const GraphView* graph = body_.graph.view; graph; graph = graph->parent) {
      if (graph->initializers.count(value)) return ConstantPlace{graph, nullptr};
      if (const auto made = graph->producer.find(value); made != graph->producer.end()) {
        const onnx::GraphProto* proto = graphs_.at(graph->path).proto;
        return ConstantPlace{graph, &proto->node(static_cast<int>(made->second))};
      }
    }
    return Invalid(fmt::format("value \"{}\" is no constant", value));
  }

  Status AddConstant(const std::string& value, bool is_weight) {
    const std::optional<TensorInfo> info = body_.graph.view->Constant(value);
    if (!info || (info->size >= kInlineLimit) != is_weight) {
      return Invalid(fmt::format("value \"{}\" is no {}", value,
                                 is_weight ? "weight of 128 bytes and more" : "small constant"));
    }
    BCTX_ASSIGN_OR_RETURN(const ConstantPlace place, Place(value));
    if (IsCopied(place, *info)) return OkStatus();  // found again where it is read
    if (place.node && !is_weight) body_.hoisted.emplace_back(place, value);
    body_.operands.push_back(value);
    return OkStatus();
  }

  static bool IsCopied(const ConstantPlace& place, const TensorInfo& info) {
    return place.node && info.size < kInlineLimit && !BecomesOperand(info.element_type);
  }

  Status SortOperands() {
    for (const std::string& value : partition_.activations) {
      if (body_.graph.view->Constant(value)) {
        return Invalid(fmt::format("activation \"{}\" is a constant", value));
      }
      body_.operands.push_back(value);
    }
    body_.activations = body_.operands.size();
    for (const std::string& value : partition_.weights) {
      BCTX_RETURN_IF_ERROR(AddConstant(value, true));
    }
    weights_end_ = body_.operands.size();
    for (const std::string& value : partition_.constants) {
      BCTX_RETURN_IF_ERROR(AddConstant(value, false));
    }
    return OkStatus();
  }

  // Everything that is read is made inside, passed or copied. Copies come in order of first use.
  Status FindReads() {
    std::unordered_set<std::string> known = made_;
    for (const std::string& operand : body_.operands) {
      if (!known.insert(operand).second) {
        return Invalid(fmt::format("input \"{}\" is named twice or made inside", operand));
      }
    }
    for (const size_t index : body_.members) {
      const NameSet reads = Reads(Proto(index));
      std::vector<std::string> ordered(Proto(index).input().begin(), Proto(index).input().end());
      std::vector<std::string> captures(reads.begin(), reads.end());
      std::sort(captures.begin(), captures.end());
      ordered.insert(ordered.end(), captures.begin(), captures.end());
      for (const std::string& value : ordered) {
        if (value.empty() || known.count(value)) continue;
        BCTX_RETURN_IF_ERROR(Copy(value));
        known.insert(value);
      }
    }
    return OkStatus();
  }

  Status Copy(const std::string& value) {
    const std::optional<TensorInfo> info = body_.graph.view->Constant(value);
    if (info) {
      BCTX_ASSIGN_OR_RETURN(const ConstantPlace place, Place(value));
      if (IsCopied(place, *info)) {
        body_.copied.emplace_back(place, value);
        return OkStatus();
      }
    }
    return Invalid(fmt::format("value \"{}\" is read, but is no input", value));
  }

  void NameFormals() {
    for (const size_t index : body_.members) CollectNames(Proto(index), &taken_);
    const size_t count = body_.operands.size();
    for (size_t i = 0; i < count; ++i) {
      const bool is_weight = i < weights_end_;
      const size_t first = i < body_.activations ? 0 : is_weight ? body_.activations : weights_end_;
      const char* role = i < body_.activations ? "x" : is_weight ? "w" : "c";
      const std::string formal = Fresh(role + std::to_string(i - first));
      body_.renames[body_.operands[i]] = formal;
      body_.function.add_input(formal);
    }
    for (size_t i = 0; i < partition_.outputs.size(); ++i) {
      const std::string formal = Fresh("y" + std::to_string(i));
      body_.renames[partition_.outputs[i]] = formal;
      body_.function.add_output(formal);
    }
  }

  std::string Fresh(std::string name) {
    while (!taken_.insert(name).second) name += '_';
    return name;
  }

  Status AddImports() {
    body_.function.set_domain(kDomain);
    body_.function.set_name(partition_.function);
    std::map<std::string, onnx::OperatorSetIdProto*> imports;
    for (const auto& import : state_.stored.opset_import()) {
      onnx::OperatorSetIdProto*& added = imports[DomainOf(import.domain())];
      if (!added) added = body_.function.add_opset_import();
      *added = import;  // of several imports of a domain the last counts, as in ONNX Runtime
      OnlyShortDefault(added);
    }
    for (const std::string& domain : domains_) {
      if (!imports.count(domain)) {
        return Fail(StatusCode::kUnimplemented,
                    fmt::format("domain \"{}\" is used and not imported", domain));
      }
    }
    return OkStatus();
  }

  Result<std::vector<size_t>> Order() const {
    std::unordered_map<std::string, size_t> maker;
    for (size_t i = 0; i < body_.members.size(); ++i) {
      for (const std::string& output : Proto(body_.members[i]).output()) {
        if (!output.empty()) maker.emplace(output, i);
      }
    }
    std::vector<std::vector<size_t>> after(body_.members.size());
    for (size_t i = 0; i < body_.members.size(); ++i) {
      for (const std::string& value : Reads(Proto(body_.members[i]))) {
        if (const auto made = maker.find(value); made != maker.end()) {
          after[made->second].push_back(i);
        }
      }
    }
    std::optional<std::vector<size_t>> order = StableOrder(after);
    if (!order) return Invalid("its nodes form a cycle");
    return std::move(*order);
  }

  Result<Body> AddNodes() {
    for (const auto& [place, value] : body_.copied) {
      NodeProto* copied = body_.function.add_node();
      *copied = *place.node;
      ShortenDomain(copied);
    }
    BCTX_ASSIGN_OR_RETURN(const std::vector<size_t> order, Order());
    for (const size_t i : order) {
      NodeProto* node = body_.function.add_node();
      *node = Proto(body_.members[i]);
      ShortenDomain(node);
      RenameBoundary(body_.renames, node);
    }
    NameNodes(&body_.function);
    return std::move(body_);
  }

  // The stored body in place of the nodes: it must have the formals that these nodes have.
  Result<Body> TakeLegalBody() {
    onnx::FunctionProto legal;
    if (!legal.ParseFromString(partition_.legal_body)) {
      return Fail(StatusCode::kMalformed, "its legalised body is no function");
    }
    const auto same = [](const auto& a, const auto& b) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end());
    };
    const onnx::FunctionProto& expected = body_.function;
    if (legal.name() != expected.name() || legal.domain() != expected.domain() ||
        !same(legal.input(), expected.input()) || !same(legal.output(), expected.output())) {
      return Fail(StatusCode::kMalformed, "its legalised body has another name or other formals");
    }
    body_.function.Swap(&legal);
    return std::move(body_);
  }

  const FlatModel::State& state_;
  const GraphIndex& graphs_;
  const EncodedPartition& partition_;
  Body body_;
  size_t weights_end_ = 0;
  std::unordered_set<size_t> is_member_;
  std::unordered_set<std::string> made_;
  std::set<std::string> domains_;
  NameSet taken_;
};

}  // namespace

GraphIndex IndexGraphs(const FlatModel::State& state) {
  GraphIndex index;
  const auto protos = GraphsByPath(state.stored.graph());
  for (const GraphView* view : AllGraphs(state.view)) {
    // A path that occurs twice means the first graph; one without message has no graph.
    const auto proto = protos.find(view->path);
    if (proto != protos.end()) index.emplace(view->path, GraphPair{view, proto->second});
  }
  return index;
}

void ShortenDomain(NodeProto* node) { OnlyShortDefault(node); }

void RenameBoundary(const Renames& renames, NodeProto* node) {
  RenameReads(renames, node);
  for (std::string& output : *node->mutable_output()) {
    if (const auto found = renames.find(output); found != renames.end()) output = found->second;
  }
}

void NameNodes(onnx::FunctionProto* function) {
  std::unordered_set<std::string> names;
  for (const NodeProto& node : function->node()) names.insert(node.name());
  size_t next = 0;
  for (NodeProto& node : *function->mutable_node()) {
    while (node.name().empty()) {
      const std::string name = fmt::format("node_{}", next++);
      if (names.insert(name).second) node.set_name(name);
    }
  }
}

Result<Body> BuildBody(const FlatModel::State& state, const EncodedPartition& partition) {
  return BodyBuilder(state, partition).Build();
}

}  // namespace backendctx::model
