// Values are written as what they are, not as what they are called:
//   '-'  absent
//   'a'  activation, with its position
//   'v'  made inside, with a running number in order of making
//   'w'  weight, with a running number by first use, its type and its shape
//   'c'  constant, with type, shape and bytes
// Constant nodes are left out wherever they stand, since what they hold is written where it is
// read: an encoding may keep them, copy them or turn them into operands without a change here. So
// the same function serves a flat graph and a function's body with its operands put back. Nodes are
// written in an order that does not depend on the one in which they are listed (node_order.h),
// since functions within functions list them otherwise than the graph does.
#include "model/structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "model/canonical.h"
#include "model/guard.h"
#include "model/node_order.h"

namespace backendctx::model {
namespace {

Status Invalid(const std::string& text) { return Status(StatusCode::kInvalidArgument, text); }

Status Unpackable(const Node& node, const std::string& what) {
  return Status(StatusCode::kUnimplemented,
                fmt::format("node \"{}\": {} cannot be part of a partition", node.Key(), what));
}

// The names that one graph level defines, and what they are.
struct LevelNames {
  const GraphView* graph = nullptr;
  std::unordered_map<std::string, std::pair<char, uint64_t>> values;  // tag, number
};

class StructureHasher {
 public:
  StructureHasher(const ModelView& model, const GraphView& graph) : model_(model), graph_(graph) {
    for (const std::string& name : model.local_functions) {
      // "domain::name"; the default domain has two spellings.
      const bool is_default = name.starts_with("ai.onnx::");
      local_functions_.insert(is_default ? name.substr(sizeof "ai.onnx" - 1) : name);
    }
  }

  Result<Digest> Run(const Region& region) {
    stream_.Bytes("backendctx structure digest 2");
    std::vector<const Node*> nodes;
    for (const size_t index : region.nodes) {
      if (index >= graph_.nodes.size()) return Invalid(fmt::format("no node {}", index));
      if (!ConstantNodeTensor(graph_.nodes[index])) nodes.push_back(&graph_.nodes[index]);
    }
    BCTX_ASSIGN_OR_RETURN(nodes, orders_.Of(nodes, region.outputs));
    BCTX_RETURN_IF_ERROR(WriteImports(nodes));
    scopes_.push_back(LevelNames{&graph_, {}});
    BCTX_RETURN_IF_ERROR(Define(region.activations, 'a'));
    stream_.Number(region.activations.size());
    BCTX_RETURN_IF_ERROR(WriteNodes(nodes));
    BCTX_RETURN_IF_ERROR(WriteOutputs(region.outputs));
    BCTX_RETURN_IF_ERROR(WriteUses(region.weights));
    BCTX_RETURN_IF_ERROR(WriteUses(region.constants));
    return stream_.Finish();
  }

 private:
  static void CollectDomains(const std::vector<const Node*>& nodes,
                             std::set<std::string>* domains) {
    for (const Node* node : nodes) {
      domains->insert(node->domain);
      for (const Attribute& attribute : node->attributes) {
        if (attribute.graph) CollectDomains(Live(*attribute.graph), domains);
      }
    }
  }

  Status WriteImports(const std::vector<const Node*>& nodes) {
    std::set<std::string> domains;
    CollectDomains(nodes, &domains);
    stream_.Number(domains.size());
    for (const std::string& domain : domains) {
      stream_.Bytes(domain);
      stream_.Signed(model_.Opset(domain));
    }
    return OkStatus();
  }

  Status Define(const std::vector<std::string>& names, char tag) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (!scopes_.back().values.try_emplace(names[i], tag, i).second) {
        return Invalid(fmt::format("value \"{}\": found twice among the inputs", names[i]));
      }
    }
    return OkStatus();
  }

  Status WriteNodes(const std::vector<const Node*>& nodes) {
    stream_.Number(nodes.size());
    for (const Node* node : nodes) BCTX_RETURN_IF_ERROR(WriteNode(*node));
    return OkStatus();
  }

  Status WriteNode(const Node& node) {
    if (local_functions_.count(node.domain + "::" + node.op_type)) {
      return Unpackable(node, "a call of a function of the model");
    }
    stream_.Tag('N');
    stream_.Bytes(node.domain);
    stream_.Bytes(node.op_type);
    stream_.Number(node.inputs.size());
    for (const std::string& input : node.inputs) BCTX_RETURN_IF_ERROR(WriteUse(input));
    const std::vector<const Attribute*> attributes = SortedAttributes(node);
    stream_.Number(attributes.size());
    for (const Attribute* attribute : attributes) {
      BCTX_RETURN_IF_ERROR(WriteViewAttribute(node, *attribute));
    }
    stream_.Number(node.outputs.size());
    for (const std::string& output : node.outputs) {
      stream_.Tag(output.empty() ? '-' : 'v');
      if (output.empty()) continue;
      if (!scopes_.back().values.try_emplace(output, 'v', made_).second) {
        return Invalid(fmt::format("value \"{}\": found an input that is made inside", output));
      }
      ++made_;
    }
    return OkStatus();
  }

  Status WriteUse(const std::string& value) {
    if (value.empty()) {
      stream_.Tag('-');
      return OkStatus();
    }
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->values.find(value); found != scope->values.end()) {
        stream_.Tag(found->second.first);
        stream_.Number(found->second.second);
        return OkStatus();
      }
      // What this level defines hides the levels around it.
      if (Defines(*scope->graph, value)) return WriteConstant(*scope->graph, value);
    }
    return WriteConstant(graph_, value);
  }

  Status WriteConstant(const GraphView& graph, const std::string& value) {
    const std::optional<TensorInfo> info = graph.Constant(value);
    if (!info) return Invalid(fmt::format("value \"{}\": read, but not among the inputs", value));
    const bool is_weight = info->size >= kInlineLimit;
    stream_.Tag(is_weight ? 'w' : 'c');
    // One name in two graphs is two values, but never in one partition: the inner hides the outer.
    if (is_weight) {
      stream_.Number(weights_.try_emplace({&graph, value}, weights_.size()).first->second);
    }
    stream_.Signed(info->element_type);
    stream_.Number(info->dims.size());
    for (const int64_t dim : info->dims) stream_.Signed(dim);
    if (!is_weight) stream_.Bytes(info->bytes);
    return OkStatus();
  }

  Status WriteViewAttribute(const Node& node, const Attribute& attribute) {
    using Proto = onnx::AttributeProto;
    if (attribute.kind == Attribute::Kind::kOther) return WriteOther(node, attribute);
    stream_.Tag('A');
    stream_.Bytes(attribute.name);
    stream_.Tag('=');
    switch (attribute.kind) {
      case Attribute::Kind::kFloat:
        stream_.Number(Proto::FLOAT);
        stream_.Float(attribute.floats.at(0));
        break;
      case Attribute::Kind::kInt:
        stream_.Number(Proto::INT);
        stream_.Signed(attribute.ints.at(0));
        break;
      case Attribute::Kind::kString:
        stream_.Number(Proto::STRING);
        stream_.Bytes(attribute.strings.at(0));
        break;
      case Attribute::Kind::kFloats:
        stream_.Number(Proto::FLOATS);
        stream_.Number(attribute.floats.size());
        for (const float value : attribute.floats) stream_.Float(value);
        break;
      case Attribute::Kind::kInts:
        stream_.Number(Proto::INTS);
        stream_.Number(attribute.ints.size());
        for (const int64_t value : attribute.ints) stream_.Signed(value);
        break;
      case Attribute::Kind::kStrings:
        stream_.Number(Proto::STRINGS);
        stream_.Number(attribute.strings.size());
        for (const std::string& value : attribute.strings) stream_.Bytes(value);
        break;
      case Attribute::Kind::kTensor:
        stream_.Number(Proto::TENSOR);
        WriteTensorInfo(*attribute.tensor);
        break;
      case Attribute::Kind::kGraph:
        stream_.Number(Proto::GRAPH);
        return WriteSubgraph(*attribute.graph);
      case Attribute::Kind::kOther:
        break;
    }
    return OkStatus();
  }

  void WriteTensorInfo(const TensorInfo& tensor) {
    stream_.Tag('T');
    stream_.Signed(tensor.element_type);
    stream_.Number(tensor.dims.size());
    for (const int64_t dim : tensor.dims) stream_.Signed(dim);
    stream_.Raw(tensor.digest);
  }

  Status WriteOther(const Node& node, const Attribute& attribute) {
    onnx::AttributeProto proto;
    if (!proto.ParseFromString(attribute.canonical)) return Invalid("an attribute does not parse");
    switch (model::TypeOf(proto)) {
      case onnx::AttributeProto::TYPE_PROTO:
      case onnx::AttributeProto::TYPE_PROTOS:
      case onnx::AttributeProto::FLOAT:
      case onnx::AttributeProto::INT:
      case onnx::AttributeProto::STRING:
      case onnx::AttributeProto::FLOATS:
      case onnx::AttributeProto::INTS:
      case onnx::AttributeProto::STRINGS:
        if (proto.ref_attr_name().empty()) return WriteAttribute(proto, nullptr, &stream_);
        [[fallthrough]];
      default:
        return Unpackable(node, fmt::format("attribute \"{}\" of this type", attribute.name));
    }
  }

  Status WriteSubgraph(const GraphView& graph) {
    stream_.Tag('G');
    scopes_.push_back(LevelNames{&graph, {}});
    stream_.Number(graph.inputs.size());
    for (const std::string& input : graph.inputs) {
      scopes_.back().values.try_emplace(input, 'v', made_++);
    }
    BCTX_ASSIGN_OR_RETURN(const std::vector<const Node*> nodes,
                          orders_.Of(Live(graph), graph.outputs));
    BCTX_RETURN_IF_ERROR(WriteNodes(nodes));
    BCTX_RETURN_IF_ERROR(WriteUses(graph.outputs));
    scopes_.pop_back();
    return OkStatus();
  }

  Status WriteUses(const std::vector<std::string>& values) {
    stream_.Number(values.size());
    for (const std::string& value : values) BCTX_RETURN_IF_ERROR(WriteUse(value));
    return OkStatus();
  }

  Status WriteOutputs(const std::vector<std::string>& outputs) {
    stream_.Number(outputs.size());
    for (const std::string& output : outputs) {
      const auto found = scopes_.back().values.find(output);
      if (found == scopes_.back().values.end() || found->second.first != 'v') {
        return Invalid(fmt::format("value \"{}\": an output that no node inside makes", output));
      }
      stream_.Tag('v');
      stream_.Number(found->second.second);
    }
    return OkStatus();
  }

  const ModelView& model_;
  const GraphView& graph_;
  std::unordered_set<std::string> local_functions_;
  CanonicalStream stream_;
  NodeOrders orders_;
  std::vector<LevelNames> scopes_;
  std::map<std::pair<const GraphView*, std::string>, uint64_t> weights_;
  uint64_t made_ = 0;
};

}  // namespace

Result<Digest> StructureDigest(const ModelView& model, const GraphView& graph,
                               const Region& region) {
  return Guarded("structure digest", [&] { return StructureHasher(model, graph).Run(region); });
}

}  // namespace backendctx::model
