#include "model/encode_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "model/canonical.h"
#include "model/order.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::NodeProto;

constexpr size_t kNone = static_cast<size_t>(-1);

// In stable topological order; nothing when there is a cycle.
std::optional<std::vector<size_t>> OrderOf(const std::vector<NodeProto>& nodes) {
  std::unordered_map<std::string, size_t> maker;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (!output.empty()) maker.emplace(output, i);
    }
  }
  std::vector<std::vector<size_t>> after(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& value : Reads(nodes[i])) {
      const auto made = maker.find(value);
      if (made != maker.end()) after[made->second].push_back(i);
    }
  }
  return StableOrder(after);
}

size_t DepthOf(const GraphView* graph) {
  size_t depth = 0;
  for (; graph->parent; graph = graph->parent) ++depth;
  return depth;
}

// The node of the graph around it that holds the graph.
size_t HolderOf(const GraphView& graph) {
  for (size_t i = 0; i < graph.parent->nodes.size(); ++i) {
    for (const Attribute& attribute : graph.parent->nodes[i].attributes) {
      if (attribute.graph.get() == &graph) return i;
    }
  }
  return kNone;
}

// Types and annotations of values that are now inside functions.
void DropTypes(GraphProto* graph) {
  NameSet names;
  for (const auto& input : graph->input()) names.insert(input.name());
  for (const NodeProto& node : graph->node()) {
    names.insert(node.input().begin(), node.input().end());
    names.insert(node.output().begin(), node.output().end());
  }
  for (const auto& tensor : graph->initializer()) names.insert(tensor.name());
  for (const auto& sparse : graph->sparse_initializer()) names.insert(sparse.values().name());
  const auto drop = [&names](auto* list, const auto& name_of) {
    list->erase(std::remove_if(list->begin(), list->end(),
                               [&](const auto& item) { return !names.count(name_of(item)); }),
                list->end());
  };
  drop(graph->mutable_value_info(), [](const auto& info) { return info.name(); });
  drop(graph->mutable_quantization_annotation(),
       [](const auto& annotation) { return annotation.tensor_name(); });
}

}  // namespace

Status FunctionEncoder::Run(const std::vector<EncodedPartition>& partitions) {
  if (partitions.empty()) return OkStatus();
  std::set<std::string> functions;
  for (const EncodedPartition& partition : partitions) {
    if (!functions.insert(partition.function).second || partition.function.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("function \"{}\": found twice or empty", partition.function));
    }
    Placed placed;
    placed.partition = &partition;
    BCTX_ASSIGN_OR_RETURN(placed.body, BuildBody(state_, partition));
    placed.depth = DepthOf(placed.body.graph.view);
    placed_.push_back(std::move(placed));
  }
  BCTX_RETURN_IF_ERROR(FindNesting());
  protos_ = GraphsByPath(front_.mutable_graph());
  for (const auto& [path, graph] : protos_) {
    for (const NodeProto& node : graph->node()) node_names_.insert(node.name());
  }
  NoteConstants();
  // Nodes are swapped and not copied, so the subgraphs below them stay where `protos_` points.
  std::map<std::string, Items> items;
  const std::vector<size_t> order = InsideOut();
  for (size_t i = 0; i < order.size(); ++i) {
    Placed& placed = placed_[order[i]];
    const std::string& path = placed.partition->graph_path;
    if (!items.count(path)) TakeNodes(path, &items[path]);
    BCTX_RETURN_IF_ERROR(Replace(&placed, &items[path]));
    const bool last = i + 1 == order.size() || placed_[order[i + 1]].partition->graph_path != path;
    if (last) BCTX_RETURN_IF_ERROR(PutBack(path, &items[path]));
  }
  BCTX_RETURN_IF_ERROR(AddFunctions());
  DropUnread();
  std::set<GraphProto*> changed;
  for (const Placed& placed : placed_) changed.insert(protos_.at(placed.partition->graph_path));
  for (const auto& [graph, value] : copied_) changed.insert(const_cast<GraphProto*>(graph));
  for (GraphProto* graph : changed) DropTypes(graph);
  AddImports();
  return OkStatus();
}

// ---- nesting
// -------------------------------------------------------------------------------------

// From the outside in: by the time a partition is looked at, each of its nodes is owned by the
// smallest partition around it, if by any, and that must be one for all of them.
Status FunctionEncoder::FindNesting() {
  std::vector<size_t> order(placed_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) {
    if (placed_[a].depth != placed_[b].depth) return placed_[a].depth < placed_[b].depth;
    return placed_[a].body.members.size() > placed_[b].body.members.size();
  });
  std::map<std::pair<const GraphView*, size_t>, size_t> owners;
  for (const size_t inner : order) {
    const GraphView* graph = placed_[inner].body.graph.view;
    const std::vector<size_t>& members = placed_[inner].body.members;
    size_t outer = kNone;
    for (size_t i = 0; i < members.size(); ++i) {
      const auto [owner, is_free] = owners.emplace(std::pair(graph, members[i]), inner);
      const size_t found = is_free ? kNone : owner->second;
      if (i > 0 && found != outer) return Overlap(found == kNone ? outer : found, inner);
      outer = found;
      owner->second = inner;
    }
    for (; outer == kNone && graph->parent; graph = graph->parent) {
      const auto owner = owners.find({graph->parent, HolderOf(*graph)});
      if (owner != owners.end()) outer = owner->second;
    }
    if (outer != kNone) BCTX_RETURN_IF_ERROR(AddInside(inner, outer));
  }
  return OkStatus();
}

Status FunctionEncoder::AddInside(size_t inner, size_t outer) {
  const bool is_same = placed_[inner].body.graph.view == placed_[outer].body.graph.view &&
                       placed_[inner].body.members.size() == placed_[outer].body.members.size();
  if (is_same || !placed_[outer].partition->legal_body.empty()) return Overlap(outer, inner);
  placed_[outer].functions.push_back(inner);
  return OkStatus();
}

Status FunctionEncoder::Overlap(size_t a, size_t b) const {
  return Status(StatusCode::kUnimplemented,
                fmt::format("partitions \"{}\" and \"{}\" overlap: functions cannot carry both",
                            placed_[a].partition->id, placed_[b].partition->id));
}

// Graph by graph, the deepest first; in a graph what is inside before what is around it.
std::vector<size_t> FunctionEncoder::InsideOut() const {
  std::vector<size_t> order(placed_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) {
    const Placed &one = placed_[a], &other = placed_[b];
    if (one.depth != other.depth) return one.depth > other.depth;
    if (one.partition->graph_path != other.partition->graph_path) {
      return one.partition->graph_path < other.partition->graph_path;
    }
    return one.body.members.size() < other.body.members.size();
  });
  return order;
}

// ---- nodes
// ---------------------------------------------------------------------------------------

void FunctionEncoder::NoteConstants() {
  for (const Placed& placed : placed_) {
    for (const auto& [place, value] : placed.body.hoisted) {
      hoisted_.emplace(protos_.at(place.graph->path), value);
    }
    for (const auto& [place, value] : placed.body.copied) {
      copied_.emplace(protos_.at(place.graph->path), value);
    }
  }
}

void FunctionEncoder::TakeNodes(const std::string& path, Items* items) {
  GraphProto* graph = protos_.at(path);
  for (int i = 0; i < graph->node_size(); ++i) {
    (*items)[static_cast<size_t>(i)].Swap(graph->mutable_node(i));
  }
}

// Each call at the first place where all that it reads is there; what was in order stays in order.
Status FunctionEncoder::PutBack(const std::string& path, Items* items) {
  std::vector<NodeProto> nodes(items->size());
  size_t next = 0;
  for (auto& [place, node] : *items) nodes[next++].Swap(&node);
  const auto order = OrderOf(nodes);
  if (!order) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("graph \"{}\": its partitions leave a cycle", path));
  }
  GraphProto* graph = protos_.at(path);
  graph->clear_node();
  for (const size_t i : *order) graph->add_node()->Swap(&nodes[i]);
  return OkStatus();
}

// A call for the nodes of the partition, which go into its function.
Status FunctionEncoder::Replace(Placed* placed, Items* items) {
  const std::vector<size_t>& members = placed->body.members;
  std::vector<NodeProto> nodes;
  for (const size_t member : members) {
    const auto item = items->find(member);
    if (item == items->end()) continue;  // inside a function that is called at another place
    nodes.emplace_back().Swap(&item->second);
    items->erase(item);
  }
  if (!placed->functions.empty()) BCTX_RETURN_IF_ERROR(FillBody(std::move(nodes), placed));
  if (!tag_.embedded.empty()) AddContainerInput(&placed->body.function);
  (*items)[members.front()] = Call(*placed);
  return OkStatus();
}

// The body again, from nodes in which calls have taken the place of what is inside.
Status FunctionEncoder::FillBody(std::vector<NodeProto> nodes, Placed* placed) {
  Body& body = placed->body;
  body.function.clear_node();
  NameSet read;
  for (const NodeProto& node : nodes) read.merge(Reads(node));
  for (const auto& [place, value] : body.copied) {
    if (!read.count(value)) continue;  // by functions inside alone, which have their own
    NodeProto* copied = body.function.add_node();
    *copied = *place.node;
    ShortenDomain(copied);
  }
  const auto order = OrderOf(nodes);
  if (!order) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("partition \"{}\": the functions inside it leave a cycle",
                              placed->partition->id));
  }
  for (const size_t i : *order) {
    NodeProto* node = body.function.add_node();
    node->Swap(&nodes[i]);
    ShortenDomain(node);
    RenameBoundary(body.renames, node);
  }
  NameNodes(&body.function);
  auto* import = body.function.add_opset_import();
  import->set_domain(kDomain);
  import->set_version(1);
  return OkStatus();
}

NodeProto FunctionEncoder::Call(const Placed& placed) {
  NodeProto call;
  std::string name = "backendctx_" + placed.partition->id;
  while (!node_names_.insert(name).second) name += '_';
  call.set_name(name);
  call.set_domain(kDomain);
  call.set_op_type(placed.partition->function);
  for (const std::string& operand : placed.body.operands) call.add_input(operand);
  if (!tag_.embedded.empty()) call.add_input(tag_.embedded);
  for (const std::string& output : placed.partition->outputs) call.add_output(output);
  const auto attribute = [&call](const char* key, onnx::AttributeProto::AttributeType type) {
    onnx::AttributeProto* added = call.add_attribute();
    added->set_name(key);
    added->set_type(type);
    return added;
  };
  attribute("partition", onnx::AttributeProto::STRING)->set_s(placed.partition->id);
  attribute("structure_digest", onnx::AttributeProto::STRING)
      ->set_s(placed.partition->structure_digest.Hex());
  attribute("format", onnx::AttributeProto::INT)->set_i(1);
  return call;
}

// The call passes the container, so that tools that drop what nobody reads keep it; no node of the
// body reads it, calls in it pass it on.
void FunctionEncoder::AddContainerInput(FunctionProto* function) const {
  NameSet taken(function->input().begin(), function->input().end());
  taken.insert(function->output().begin(), function->output().end());
  for (const NodeProto& node : function->node()) CollectNames(node, &taken);
  std::string name = "container";
  while (taken.count(name)) name += '_';
  function->add_input(name);
  for (NodeProto& node : *function->mutable_node()) RenameReads({{tag_.embedded, name}}, &node);
}

// ---- the model
// -----------------------------------------------------------------------------------

// In the order of the partitions, but a function behind those that it calls: some readers want
// that.
Status FunctionEncoder::AddFunctions() {
  std::vector<std::vector<size_t>> after(placed_.size());
  for (size_t outer = 0; outer < placed_.size(); ++outer) {
    for (const size_t inner : placed_[outer].functions) after[inner].push_back(outer);
  }
  const auto order = StableOrder(after);
  if (!order) return Status(StatusCode::kInternal, "functions call each other");
  for (const size_t i : *order) front_.add_functions()->Swap(&placed_[i].body.function);
  return OkStatus();
}

// Our domain, last; before it what a legalised body needs and the model does not import.
void FunctionEncoder::AddImports() {
  const auto import_once = [this](const auto& import) {
    const auto& known = front_.opset_import();
    if (std::none_of(known.begin(), known.end(), [&import](const auto& other) {
          return DomainOf(other.domain()) == DomainOf(import.domain());
        })) {
      *front_.add_opset_import() = import;
    }
  };
  for (const FunctionProto& function : front_.functions()) {
    if (function.domain() != kDomain) continue;
    for (const auto& import : function.opset_import()) {
      if (import.domain() != kDomain) import_once(import);
    }
  }
  auto* ours = front_.add_opset_import();
  ours->set_domain(kDomain);
  ours->set_version(1);
}

// Constant nodes that were copied into bodies and that nobody else reads.
void FunctionEncoder::DropUnread() {
  std::map<GraphProto*, NameSet> candidates;
  for (const auto& [graph, value] : copied_) {
    candidates[const_cast<GraphProto*>(graph)].insert(value);
  }
  for (auto& [graph, values] : candidates) {
    for (const NodeProto& node : graph->node()) {
      for (const std::string& value : Reads(node)) values.erase(value);
    }
    for (const auto& output : graph->output()) values.erase(output.name());
    auto* nodes = graph->mutable_node();
    nodes->erase(std::remove_if(nodes->begin(), nodes->end(),
                                [&values = values](const NodeProto& node) {
                                  return values.count(KeyOf(node)) > 0;
                                }),
                 nodes->end());
  }
}

}  // namespace backendctx::model
