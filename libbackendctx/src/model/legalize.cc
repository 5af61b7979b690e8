#include "model/legalize.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "model/canonical.h"
#include "model/function_body.h"
#include "model/function_digest.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/visit.h"
#include "onnx/defs/schema.h"

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::FunctionProto;
using onnx::NodeProto;
using onnx::TensorProto;

constexpr char kPreview[] = "ai.onnx.preview";

bool HasDecomposition(const std::string& domain, const std::string& op_type) {
  if (domain == kPreview) return op_type == "FlexAttention";
  return domain.empty() && (op_type == "Attention" || op_type == "LinearAttention");
}

Status Unimplemented(const NodeProto& node, const std::string& why) {
  return Status(StatusCode::kUnimplemented,
                fmt::format("{} \"{}\" cannot be decomposed: {}", node.op_type(), KeyOf(node), why),
                {.field = KeyOf(node)});
}

class Legalizer {
 public:
  Legalizer(const EncodedPartition& partition, Body body) : body_(std::move(body)) {
    for (int i = 0; i < body_.function.input_size(); ++i) {
      flat_names_[body_.function.input(i)] = body_.operands[static_cast<size_t>(i)];
    }
    for (int i = 0; i < body_.function.output_size(); ++i) {
      flat_names_[body_.function.output(i)] = partition.outputs[static_cast<size_t>(i)];
    }
    for (const auto& import : body_.function.opset_import()) {
      imports_[DomainOf(import.domain())] = import.version();
    }
    for (const NodeProto& node : body_.function.node()) {
      CollectNames(node, &names_);
      node_names_.insert(node.name());
    }
    names_.insert(body_.function.input().begin(), body_.function.input().end());
  }

  Result<LegalBody> Run() {
    google::protobuf::RepeatedPtrField<NodeProto> nodes;
    nodes.Swap(body_.function.mutable_node());
    std::set<std::string> replaced;
    for (NodeProto& node : nodes) {
      if (!HasDecomposition(DomainOf(node.domain()), node.op_type())) {
        body_.function.add_node()->Swap(&node);
        continue;
      }
      replaced.insert(node.op_type());
      BCTX_RETURN_IF_ERROR(Decompose(std::move(node)));
    }
    if (replaced.empty()) {
      return Status(StatusCode::kUnimplemented, "no node of it has a decomposition");
    }
    return LegalBody{body_.function.SerializeAsString(), {replaced.begin(), replaced.end()}};
  }

 private:
  onnx::TypeProto TypeOf(const std::string& value) const {
    onnx::TypeProto proto;
    const auto renamed = flat_names_.find(value);
    const std::string& name = renamed == flat_names_.end() ? value : renamed->second;
    const Operand known = value.empty() ? Operand{} : OperandOf(name, *body_.graph.view);
    if (known.element_type == 0) return proto;
    auto* tensor = proto.mutable_tensor_type();
    tensor->set_elem_type(known.element_type);
    if (known.is_initializer) {
      tensor->mutable_shape();
      for (const int64_t dim : known.dims) tensor->mutable_shape()->add_dim()->set_dim_value(dim);
      return proto;
    }
    const ValueType* type = body_.graph.view->Type(name);
    if (!type->has_shape) return proto;
    tensor->mutable_shape();
    for (const Dim& dim : type->dims) {
      auto* added = tensor->mutable_shape()->add_dim();
      if (dim.value >= 0) added->set_dim_value(dim.value);
      if (dim.value < 0 && !dim.symbol.empty()) added->set_dim_param(dim.symbol);
    }
    return proto;
  }

  std::string Fresh(const std::string& wanted) {
    std::string name = wanted;
    while (!names_.insert(name).second) name += '_';
    return name;
  }

  void AddCast(const std::string& from, const std::string& to, int32_t type,
               const std::string& name) {
    NodeProto* cast = body_.function.add_node();
    cast->set_op_type("Cast");
    cast->set_name(FreshNode(name));
    cast->add_input(from);
    cast->add_output(to);
    AttributeProto* attribute = cast->add_attribute();
    attribute->set_name("to");
    attribute->set_type(AttributeProto::INT);
    attribute->set_i(type);
  }

  std::string FreshNode(const std::string& wanted) {
    std::string name = wanted;
    while (!node_names_.insert(name).second) name += '_';
    return name;
  }

  Status Decompose(NodeProto node) {
    std::vector<onnx::TypeProto> types;
    bool rounds = false;
    for (int i = 0; i < node.input_size(); ++i) {
      types.push_back(TypeOf(node.input(i)));
      if (!node.input(i).empty() && !types.back().has_tensor_type()) {
        return Unimplemented(node,
                             fmt::format("the type of input \"{}\" is not known", node.input(i)));
      }
      auto* tensor = types.back().mutable_tensor_type();
      if (node.input(i).empty()) {
        types.back().clear_tensor_type();
      } else if (tensor->elem_type() == TensorProto::BFLOAT16) {
        tensor->set_elem_type(TensorProto::FLOAT);
        const std::string wide = Fresh(node.input(i) + "_float");
        AddCast(node.input(i), wide, TensorProto::FLOAT, node.name() + "_widen");
        node.set_input(i, wide);
        rounds = true;
      }
    }
    if (node.op_type() == "Attention") MaskLowest(types, &node);
    std::vector<std::pair<std::string, std::string>> casts;  // from, to
    if (rounds) BCTX_RETURN_IF_ERROR(WidenOutputs(&node, &casts));
    BCTX_RETURN_IF_ERROR(Expand(node, types));
    for (const auto& [from, to] : casts) {
      AddCast(from, to, TensorProto::BFLOAT16, node.name() + "_narrow");
    }
    return OkStatus();
  }

  // ONNX Runtime's operator takes the lowest finite addend for a closed key, and so does compiled
  // code; the standard's function body does not. A row that is closed throughout gives 0 in both.
  void MaskLowest(const std::vector<onnx::TypeProto>& types, NodeProto* node) {
    constexpr int kMask = 3;
    if (node->input_size() <= kMask || node->input(kMask).empty() ||
        types[kMask].tensor_type().elem_type() != TensorProto::FLOAT) {
      return;
    }
    const std::string mask = node->input(kMask), prefix = node->name() + "_";
    const auto add = [&](const char* op_type, const std::vector<std::string>& inputs,
                         const std::string& wanted) {
      NodeProto* added = body_.function.add_node();
      added->set_op_type(op_type);
      added->set_name(FreshNode(prefix + wanted));
      for (const std::string& input : inputs) added->add_input(input);
      added->add_output(Fresh(prefix + wanted));
      return added;
    };
    const auto number = [&](float value, const std::string& wanted) {
      NodeProto* added = add("Constant", {}, wanted);
      AttributeProto* attribute = added->add_attribute();
      attribute->set_name("value_float");
      attribute->set_type(AttributeProto::FLOAT);
      attribute->set_f(value);
      return added->output(0);
    };
    const std::string lowest = number(std::numeric_limits<float>::lowest(), "lowest"),
                      infinite = number(-std::numeric_limits<float>::infinity(), "closed");
    const std::string is_closed = add("LessOrEqual", {mask, lowest}, "is_closed")->output(0);
    node->set_input(kMask, add("Where", {is_closed, infinite, mask}, "mask")->output(0));
  }

  Status WidenOutputs(NodeProto* node, std::vector<std::pair<std::string, std::string>>* casts) {
    for (std::string& output : *node->mutable_output()) {
      if (output.empty()) continue;
      const onnx::TypeProto type = TypeOf(output);
      if (!type.has_tensor_type()) {
        return Unimplemented(*node, fmt::format("the type of output \"{}\" is not known", output));
      }
      if (type.tensor_type().elem_type() != TensorProto::BFLOAT16) continue;
      const std::string wide = Fresh(output + "_float");
      casts->emplace_back(wide, output);
      output = wide;
    }
    for (AttributeProto& attribute : *node->mutable_attribute()) {
      if (attribute.name() == "softmax_precision" && attribute.i() == TensorProto::BFLOAT16) {
        attribute.set_i(TensorProto::FLOAT);
      }
    }
    return OkStatus();
  }

  // The schema's function for this node, or why there is none.
  Result<FunctionProto> FunctionOf(const NodeProto& node,
                                   const std::vector<onnx::TypeProto>& types) const {
    const std::string& domain = DomainOf(node.domain());
    const int version = static_cast<int>(imports_.at(domain));
    const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(node.op_type(), version, domain);
    if (!schema) {
      return Unimplemented(node,
                           fmt::format("opset {} of \"{}\" does not have it", version, domain));
    }
    // Functions are kept by the opset of the default domain.
    const auto at = imports_.find("");
    const int opset = at == imports_.end() ? onnx::OpSchema::kUninitializedSinceVersion
                                           : static_cast<int>(at->second);
    FunctionProto function;
    if (schema->HasFunction()) {
      if (const FunctionProto* found = schema->GetFunction(opset)) return *found;
    }
    if (schema->HasContextDependentFunction() &&
        schema->BuildContextDependentFunction(onnx::FunctionBodyBuildContextImpl(node, types),
                                              function, opset)) {
      return function;
    }
    return Unimplemented(node, fmt::format("onnx has no function body of it for opset {}", opset));
  }

  // The function was written for its own imports: its operators must mean the same under ours.
  Status CheckImports(const NodeProto& node, const FunctionProto& function) {
    for (const auto& import : function.opset_import()) {
      const std::string& domain = DomainOf(import.domain());
      const auto [ours, added] = imports_.emplace(domain, import.version());
      if (added) {
        auto* wanted = body_.function.add_opset_import();
        wanted->set_domain(domain);
        wanted->set_version(import.version());
      }
      if (ours->second == import.version()) continue;
      for (const NodeProto& inner : function.node()) {
        if (DomainOf(inner.domain()) != domain) continue;
        const auto* theirs = onnx::OpSchemaRegistry::Schema(
            inner.op_type(), static_cast<int>(import.version()), domain);
        const auto* mine =
            onnx::OpSchemaRegistry::Schema(inner.op_type(), static_cast<int>(ours->second), domain);
        if (theirs && mine && theirs->since_version() == mine->since_version()) continue;
        return Unimplemented(node, fmt::format("its function body needs opset {} and the model "
                                               "imports {}",
                                               import.version(), ours->second));
      }
    }
    return OkStatus();
  }

  Status Expand(const NodeProto& node, const std::vector<onnx::TypeProto>& types) {
    BCTX_ASSIGN_OR_RETURN(const FunctionProto function, FunctionOf(node, types));
    BCTX_RETURN_IF_ERROR(CheckImports(node, function));
    Renames renames;
    const auto bind = [&renames](const auto& formals, const auto& actuals, auto&& otherwise) {
      for (int i = 0; i < formals.size(); ++i) {
        const bool given = i < actuals.size() && !actuals[i].empty();
        renames[formals[i]] = given ? actuals[i] : otherwise(formals[i]);
      }
    };
    const std::string prefix = node.name() + "_";
    bind(function.input(), node.input(), [](const std::string&) { return std::string(); });
    bind(function.output(), node.output(),
         [&](const std::string& formal) { return Fresh(prefix + formal); });
    for (const NodeProto& inner : function.node()) {
      for (const std::string& output : inner.output()) {
        if (!output.empty() && !renames.count(output)) renames[output] = Fresh(prefix + output);
      }
    }
    for (const NodeProto& inner : function.node()) {
      NodeProto* copy = body_.function.add_node();
      *copy = inner;
      copy->set_name(FreshNode(prefix + inner.op_type()));
      copy->clear_doc_string();
      RenameReads(renames, copy);
      for (std::string& output : *copy->mutable_output()) {
        if (!output.empty()) output = renames.at(output);
      }
      BCTX_RETURN_IF_ERROR(ResolveReferences(node, copy));
    }
    return OkStatus();
  }

  // Attributes that refer to those of the operator get its values; an absent one is left out.
  static Status ResolveReferences(const NodeProto& node, NodeProto* copy) {
    auto* attributes = copy->mutable_attribute();
    for (int i = attributes->size() - 1; i >= 0; --i) {
      AttributeProto& attribute = *attributes->Mutable(i);
      if (attribute.ref_attr_name().empty()) continue;
      const auto given = std::find_if(
          node.attribute().begin(), node.attribute().end(),
          [&](const AttributeProto& other) { return other.name() == attribute.ref_attr_name(); });
      if (given == node.attribute().end()) {
        attributes->DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = attribute.name();
      attribute = *given;
      attribute.set_name(name);
    }
    return OkStatus();
  }

  Body body_;
  std::unordered_map<std::string, std::string> flat_names_;  // of formals
  std::map<std::string, int64_t> imports_;
  NameSet names_, node_names_;
};

Result<Body> BodyOf(const FlatModel::State& state, const EncodedPartition& partition) {
  return BuildBody(state, partition);
}

}  // namespace

bool HasDecomposition(const Node& node) { return HasDecomposition(node.domain, node.op_type); }

Result<LegalBody> Legalize(const FlatModel& flat, const EncodedPartition& partition) {
  return Guarded("legalising a body", [&]() -> Result<LegalBody> {
    EncodedPartition original = partition;
    original.legal_body.clear();
    BCTX_ASSIGN_OR_RETURN(Body body, BodyOf(flat.state(), original));
    return Legalizer(original, std::move(body)).Run();
  });
}

Result<Digest> LegalBodyDigest(const FlatModel& flat, const EncodedPartition& partition) {
  return Guarded("a legalised body's digest", [&]() -> Result<Digest> {
    BCTX_ASSIGN_OR_RETURN(const Body body, BodyOf(flat.state(), partition));
    std::vector<Operand> operands;
    for (const std::string& name : body.operands) {
      operands.push_back(OperandOf(name, *body.graph.view));
    }
    return FunctionDigest(body.function, operands);
  });
}

}  // namespace backendctx::model
