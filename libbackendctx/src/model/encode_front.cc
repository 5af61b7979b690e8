// A front in four steps on a copy of the stored graph: partitions become calls, constants are
// hoisted, tensors get the form that stock runtimes read, the tag is added. The metadata encoding
// is the same without the first step.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "model/canonical.h"
#include "model/front.h"
#include "model/front_tag.h"
#include "model/function_body.h"
#include "model/guard.h"
#include "model/hoist.h"
#include "model/order.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

constexpr int64_t kFunctionsIr = 8;         // the first with model-local functions
constexpr int64_t kFreeInitializersIr = 4;  // the first whose initializers need be no inputs
constexpr char kContainerInitializer[] = "backendctx_container";
constexpr uint64_t kModelBytes = (1ull << 31) - 1;

struct Placed {
  const EncodedPartition* partition;
  Body body;
};

class FrontEncoder {
 public:
  FrontEncoder(const FlatModel::State& state, const FrontTag& tag, const Layout& layout)
      : state_(state), tag_(tag), layout_(layout), front_(state.stored) {}

  // `container`: what is embedded; null: nothing is.
  Result<std::string> Run(const std::vector<EncodedPartition>& partitions,
                          const std::string* container) {
    BCTX_RETURN_IF_ERROR(CheckEmbedded(container));
    BCTX_RETURN_IF_ERROR(AddStructure(partitions));
    BCTX_RETURN_IF_ERROR(PlaceTensors());
    if (container) AddContainer(*container);
    auto* property = front_.add_metadata_props();
    property->set_key(kFrontProperty);
    property->set_value(EncodeTag(tag_));
    std::string bytes;
    if (front_.ByteSizeLong() <= kModelBytes && front_.SerializeToString(&bytes)) return bytes;
    return TooLarge();
  }

  Result<FrontPlan> Plan(const std::vector<EncodedPartition>& partitions) {
    FrontPlan plan;
    plan.container_name = ContainerName();
    BCTX_RETURN_IF_ERROR(AddStructure(partitions));
    for (const TensorProto& tensor : front_.graph().initializer()) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
      if (!replaced) continue;
      plan.tensors.push_back(
          {tensor.name(), replaced->digest, tensor.data_type() != TensorProto::STRING});
    }
    return plan;
  }

 private:
  Status TooLarge() const {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("front: found more than {} bytes that stay inside{}", kModelBytes,
                              tag_.embedded.empty() ? ""
                                                    : "; without --embed the weights lie in a "
                                                      "file beside it"));
  }

  // New among all names of values, so that branches can capture it too.
  std::string ContainerName() const {
    NameSet taken;
    CollectNames(state_.stored.graph(), &taken);
    std::string name = kContainerInitializer;
    while (taken.count(name)) name += '_';
    return name;
  }

  Status CheckEmbedded(const std::string* container) const {
    if (!container) {
      if (tag_.embedded.empty()) return OkStatus();
      return Status(StatusCode::kInvalidArgument, "an embedded container has no bytes");
    }
    if (tag_.encoding == Encoding::kFunction && tag_.embedded == ContainerName()) return OkStatus();
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("embedded container: found initializer \"{}\", expected \"{}\" in the "
                    "function encoding",
                    tag_.embedded, ContainerName()));
  }

  // Everything but tensors' data.
  Status AddStructure(const std::vector<EncodedPartition>& partitions) {
    if (tag_.encoding == Encoding::kFunction) BCTX_RETURN_IF_ERROR(AddFunctions(partitions));
    const int initializers = front_.graph().initializer_size();
    BCTX_RETURN_IF_ERROR(HoistConstants(hoisted_, &front_));
    if (front_.graph().initializer_size() > initializers || !tag_.embedded.empty()) {
      RaiseIr(kFreeInitializersIr);
    }
    return OkStatus();
  }

  void AddContainer(const std::string& bytes) {
    TensorProto* tensor = front_.mutable_graph()->add_initializer();
    tensor->set_name(tag_.embedded);
    tensor->set_data_type(TensorProto::UINT8);
    tensor->add_dims(static_cast<int64_t>(bytes.size()));
    tensor->set_raw_data(bytes);
  }

  // The call passes the container, so that tools that drop what nobody reads keep it; no node of
  // the body reads it.
  static void AddContainerInput(onnx::FunctionProto* function) {
    NameSet taken(function->input().begin(), function->input().end());
    taken.insert(function->output().begin(), function->output().end());
    for (const NodeProto& node : function->node()) CollectNames(node, &taken);
    std::string name = "container";
    while (taken.count(name)) name += '_';
    function->add_input(name);
  }

  void RaiseIr(int64_t version) {
    if (front_.ir_version() < version) front_.set_ir_version(version);
  }

  Status AddFunctions(const std::vector<EncodedPartition>& partitions) {
    if (partitions.empty()) return OkStatus();
    std::map<std::string, std::vector<Placed>> by_graph;
    std::set<std::string> functions;
    for (const EncodedPartition& partition : partitions) {
      if (!functions.insert(partition.function).second || partition.function.empty()) {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("function \"{}\": found twice or empty", partition.function));
      }
      BCTX_ASSIGN_OR_RETURN(Body body, BuildBody(state_, partition));
      if (!tag_.embedded.empty()) AddContainerInput(&body.function);
      *front_.add_functions() = body.function;
      AddImportsOf(body.function);
      by_graph[partition.graph_path].push_back({&partition, std::move(body)});
    }
    BCTX_RETURN_IF_ERROR(CheckDisjoint(by_graph));
    CollectNodeNames();
    const auto protos = GraphsByPath(front_.mutable_graph());
    NoteConstants(by_graph, protos);
    // Nodes are swapped and not copied, so the subgraphs below them stay where `protos` points.
    for (const auto& [path, placed] : by_graph) {
      BCTX_RETURN_IF_ERROR(ReplaceNodes(placed, protos.at(path)));
    }
    DropUnread();
    std::set<GraphProto*> changed;
    for (const auto& [path, placed] : by_graph) changed.insert(protos.at(path));
    for (const auto& [graph, value] : copied_) changed.insert(const_cast<GraphProto*>(graph));
    for (GraphProto* graph : changed) DropTypes(graph);
    auto* import = front_.add_opset_import();
    import->set_domain(kDomain);
    import->set_version(1);
    RaiseIr(kFunctionsIr);
    return OkStatus();
  }

  // A legalised body may need a domain that the model does not import.
  void AddImportsOf(const onnx::FunctionProto& function) {
    for (const auto& import : function.opset_import()) {
      const auto& known = front_.opset_import();
      if (std::none_of(known.begin(), known.end(), [&import](const auto& other) {
            return DomainOf(other.domain()) == DomainOf(import.domain());
          })) {
        *front_.add_opset_import() = import;
      }
    }
  }

  // No node in two partitions, no partition in a subgraph of another's node.
  static Status CheckDisjoint(const std::map<std::string, std::vector<Placed>>& by_graph) {
    std::map<std::string, std::string> inner_paths;  // path of a subgraph -> partition around it
    for (const auto& [path, placed] : by_graph) {
      std::unordered_map<size_t, std::string> owner;
      for (const Placed& one : placed) {
        for (const size_t node : one.body.members) {
          const auto [at, added] = owner.emplace(node, one.partition->id);
          if (!added) return Overlap(at->second, one.partition->id);
          for (const Attribute& attribute : one.body.graph.view->nodes[node].attributes) {
            if (attribute.graph) inner_paths[attribute.graph->path] = one.partition->id;
          }
        }
      }
    }
    for (const auto& [path, placed] : by_graph) {
      for (const GraphView* graph = placed[0].body.graph.view; graph; graph = graph->parent) {
        const auto around = inner_paths.find(graph->path);
        if (around != inner_paths.end()) return Overlap(around->second, placed[0].partition->id);
      }
    }
    return OkStatus();
  }

  static Status Overlap(const std::string& a, const std::string& b) {
    return Status(
        StatusCode::kUnimplemented,
        fmt::format("partitions \"{}\" and \"{}\" overlap: functions cannot carry both", a, b));
  }

  void CollectNodeNames() {
    for (const auto& [path, graph] : GraphsByPath(std::as_const(*front_.mutable_graph()))) {
      for (const NodeProto& node : graph->node()) node_names_.insert(node.name());
    }
  }

  void NoteConstants(const std::map<std::string, std::vector<Placed>>& by_graph,
                     const std::map<std::string, GraphProto*>& protos) {
    for (const auto& [path, placed] : by_graph) {
      for (const Placed& one : placed) {
        for (const auto& [place, value] : one.body.hoisted) {
          hoisted_.emplace(protos.at(place.graph->path), value);
        }
        for (const auto& [place, value] : one.body.copied) {
          copied_.emplace(protos.at(place.graph->path), value);
        }
      }
    }
  }

  NodeProto Call(const Placed& placed) {
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
    attribute("format", onnx::AttributeProto::INT)->set_i(kEncoderVersion);
    return call;
  }

  // Takes the members out and puts one call for each partition in, at the first place where all
  // that it reads is there; what was in order stays in order.
  Status ReplaceNodes(const std::vector<Placed>& placed, GraphProto* graph) {
    std::vector<std::pair<size_t, NodeProto>> items;
    std::set<size_t> members;
    for (const Placed& one : placed) {
      members.insert(one.body.members.begin(), one.body.members.end());
      items.emplace_back(one.body.members.front(), Call(one));
    }
    for (size_t i = 0; i < static_cast<size_t>(graph->node_size()); ++i) {
      if (members.count(i)) continue;
      items.emplace_back(i, NodeProto());
      items.back().second.Swap(graph->mutable_node(static_cast<int>(i)));
    }
    std::sort(items.begin(), items.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::unordered_map<std::string, size_t> maker;
    for (size_t i = 0; i < items.size(); ++i) {
      for (const std::string& output : items[i].second.output()) maker.emplace(output, i);
    }
    std::vector<std::vector<size_t>> after(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      for (const std::string& value : Reads(items[i].second)) {
        if (const auto made = maker.find(value); made != maker.end()) {
          after[made->second].push_back(i);
        }
      }
    }
    const auto order = StableOrder(after);
    if (!order) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("graph \"{}\": its partitions leave a cycle",
                                placed[0].partition->graph_path));
    }
    graph->clear_node();
    for (const size_t i : *order) graph->add_node()->Swap(&items[i].second);
    return OkStatus();
  }

  // Types and annotations of values that are now inside functions.
  static void DropTypes(GraphProto* graph) {
    NameSet names;
    for (const auto& input : graph->input()) names.insert(input.name());
    for (const NodeProto& node : graph->node()) {
      names.insert(node.input().begin(), node.input().end());
      names.insert(node.output().begin(), node.output().end());
    }
    for (const TensorProto& tensor : graph->initializer()) names.insert(tensor.name());
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

  // Constant nodes that were copied into bodies and that nobody else reads.
  void DropUnread() {
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

  Status PlaceTensors() {
    std::set<const TensorProto*> top;
    for (const TensorProto& tensor : front_.graph().initializer()) top.insert(&tensor);
    uint64_t inside = 0;
    return VisitTensors(&front_, [&](TensorProto* tensor, const std::string& place) -> Status {
      return PlaceTensor(tensor, top.count(tensor) > 0, &inside).WithContext(place);
    });
  }

  Status PlaceTensor(TensorProto* tensor, bool is_top, uint64_t* inside) {
    BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
    if (!replaced) {
      RemoveNotes(tensor);
      return OkStatus();
    }
    if (is_top && tensor->data_type() != TensorProto::STRING && tag_.embedded.empty()) {
      if (const auto placement = layout_(replaced->digest)) {
        return SetExternal(*placement, replaced->size, tensor);
      }
    }
    *inside += replaced->size;
    if (*inside > kModelBytes) return TooLarge();
    const TensorContent* content = state_.Find(replaced->digest);
    if (!content) return Status(StatusCode::kInternal, "a content is missing");
    BCTX_ASSIGN_OR_RETURN(std::string bytes, ReadAll(*content));
    return PutBack(tensor, std::move(bytes));
  }

  Status SetExternal(const Placement& placement, uint64_t size, TensorProto* tensor) const {
    if (placement.length != size) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("layout: found length {}, expected {}", placement.length, size));
    }
    tensor->clear_external_data();
    tensor->set_data_location(TensorProto::EXTERNAL);
    const std::pair<const char*, std::string> entries[] = {
        {"location", tag_.container},
        {"offset", std::to_string(placement.offset)},
        {"length", std::to_string(placement.length)}};
    for (const auto& [key, value] : entries) {
      auto* entry = tensor->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return OkStatus();
  }

  const FlatModel::State& state_;
  const FrontTag& tag_;
  const Layout& layout_;
  ModelProto front_;
  NameSet node_names_;
  ConstantSet hoisted_, copied_;
};

}  // namespace

Result<std::string> EncodeFront(const FlatModel& flat,
                                const std::vector<EncodedPartition>& partitions,
                                const FrontTag& tag, const Layout& layout,
                                const std::string* container) {
  return Guarded("encoding a front", [&] {
    return FrontEncoder(flat.state(), tag, layout).Run(partitions, container);
  });
}

Result<FrontPlan> PlanFront(const FlatModel& flat, const std::vector<EncodedPartition>& partitions,
                            Encoding encoding) {
  FrontTag tag;
  tag.encoding = encoding;
  const Layout nowhere = [](const Digest&) { return std::optional<Placement>(); };
  return Guarded("planning a front",
                 [&] { return FrontEncoder(flat.state(), tag, nowhere).Plan(partitions); });
}

Result<std::vector<std::string>> CallOperands(const FlatModel& flat,
                                              const EncodedPartition& partition) {
  return Guarded("a partition's operands", [&]() -> Result<std::vector<std::string>> {
    BCTX_ASSIGN_OR_RETURN(Body body, BuildBody(flat.state(), partition));
    return std::move(body.operands);
  });
}

}  // namespace backendctx::model
