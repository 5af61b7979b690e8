// Builds a view in two passes: WithInferredTypes makes a copy of the model that knows more types
// and holds no weights; then every graph of the model is walked together with its copy.
#include "model/graph_view_builder.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "crypto/sha256.h"
#include "model/infer_types.h"
#include "model/tensor_bytes.h"

namespace backendctx::model {
namespace {

using Names = std::unordered_set<std::string>;

std::string Domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

template <typename Message>
std::string CanonicalBytes(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

Attribute::Kind KindOf(const onnx::AttributeProto& attribute) {
  using Proto = onnx::AttributeProto;
  using Kind = Attribute::Kind;
  switch (attribute.type()) {
    case Proto::FLOAT:
      return Kind::kFloat;
    case Proto::INT:
      return Kind::kInt;
    case Proto::STRING:
      return Kind::kString;
    case Proto::TENSOR:
      return Kind::kTensor;
    case Proto::GRAPH:
      return Kind::kGraph;
    case Proto::FLOATS:
      return Kind::kFloats;
    case Proto::INTS:
      return Kind::kInts;
    case Proto::STRINGS:
      return Kind::kStrings;
    default:
      return Kind::kOther;
  }
}

ValueType TypeOf(const onnx::TypeProto::Tensor& tensor) {
  ValueType type;
  type.element_type = tensor.elem_type();
  type.has_shape = tensor.has_shape();
  for (const auto& dim : tensor.shape().dim()) {
    Dim& added = type.dims.emplace_back();
    if (dim.has_dim_value() && dim.dim_value() >= 0) added.value = dim.dim_value();
    if (dim.has_dim_param()) added.symbol = dim.dim_param();
  }
  return type;
}

class Builder {
 public:
  explicit Builder(const TensorSource& source) : source_(source) {}

  // `types` is the same graph with inferred value_info. `captured` collects the names that the
  // graph reads and does not define.
  Status Fill(const onnx::GraphProto& proto, const onnx::GraphProto& types, uint32_t depth,
              GraphView* view, Names* captured) {
    if (depth > kMaxGraphDepth) {
      return Status(
          StatusCode::kResourceExhausted,
          fmt::format("graph \"{}\": nested deeper than {} graphs", view->path, kMaxGraphDepth));
    }
    for (const auto& input : proto.input()) {
      view->inputs.push_back(input.name());
      view->is_input[input.name()] = true;
    }
    for (const auto& output : proto.output()) {
      view->outputs.push_back(output.name());
      view->is_output[output.name()] = true;
    }
    AddTypes(types, view);
    AddTypes(proto, view);  // fills what inference left open
    BCTX_RETURN_IF_ERROR(AddInitializers(proto, view));
    view->nodes.resize(static_cast<size_t>(proto.node_size()));
    for (int i = 0; i < proto.node_size(); ++i) {
      // Inference changes no node list; a copy that differs is not used.
      const bool same = i < types.node_size() && types.node(i).op_type() == proto.node(i).op_type();
      BCTX_RETURN_IF_ERROR(AddNode(proto.node(i), same ? types.node(i) : proto.node(i), depth,
                                   static_cast<size_t>(i), view));
    }
    view->sorted = true;
    for (const auto& [value, nodes] : view->consumers) {
      if (!Defines(*view, value)) captured->insert(value);
      const auto made = view->producer.find(value);
      if (made != view->producer.end() && nodes.front() <= made->second) view->sorted = false;
    }
    for (const std::string& output : view->outputs) {
      if (!Defines(*view, output)) captured->insert(output);
    }
    return OkStatus();
  }

 private:
  static bool Defines(const GraphView& view, const std::string& value) {
    return view.producer.count(value) || view.initializers.count(value) ||
           view.is_input.count(value);
  }

  static void AddType(const std::string& name, const onnx::TypeProto& type, GraphView* view) {
    if (!type.has_tensor_type() || name.empty()) return;
    ValueType made = TypeOf(type.tensor_type());
    ValueType& held = view->types[name];
    if (held.element_type == 0) held.element_type = made.element_type;
    if (!held.has_shape && made.has_shape) {
      held.has_shape = true;
      held.dims = std::move(made.dims);
    }
  }

  static void AddTypes(const onnx::GraphProto& proto, GraphView* view) {
    for (const auto& info : proto.input()) AddType(info.name(), info.type(), view);
    for (const auto& info : proto.output()) AddType(info.name(), info.type(), view);
    for (const auto& info : proto.value_info()) AddType(info.name(), info.type(), view);
  }

  static void AddConstantType(const std::string& name, int32_t element_type,
                              const std::vector<int64_t>& dims, GraphView* view) {
    ValueType type;
    type.element_type = element_type;
    type.has_shape = true;
    for (const int64_t dim : dims) type.dims.push_back(Dim{dim, ""});
    view->types.try_emplace(name, std::move(type));
  }

  Result<TensorInfo> Info(const onnx::TensorProto& tensor) {
    BCTX_RETURN_IF_ERROR(ElementCount(tensor).status());
    BCTX_ASSIGN_OR_RETURN(TensorContents contents, source_(tensor));
    TensorInfo info;
    info.element_type = tensor.data_type();
    info.dims.assign(tensor.dims().begin(), tensor.dims().end());
    info.size = contents.size;
    info.digest = std::move(contents.digest);
    if (info.size < kInlineLimit) info.bytes = std::move(contents.bytes);
    return info;
  }

  Status AddInitializers(const onnx::GraphProto& proto, GraphView* view) {
    for (const auto& tensor : proto.initializer()) {
      BCTX_ASSIGN_OR_RETURN(TensorInfo info, Info(tensor));
      const bool is_new = view->initializers.count(tensor.name()) == 0;
      if (is_new) view->initializer_order.push_back(tensor.name());
      if (!is_new && !view->is_input.count(tensor.name())) view->types.erase(tensor.name());
      AddConstantType(tensor.name(), info.element_type, info.dims, view);
      view->initializers[tensor.name()] = std::move(info);  // of two the last counts, as in ORT
    }
    for (const auto& sparse : proto.sparse_initializer()) {
      AddConstantType(sparse.values().name(), sparse.values().data_type(),
                      {sparse.dims().begin(), sparse.dims().end()}, view);
    }
    return OkStatus();
  }

  static Status Duplicate(const GraphView& view, const std::string& value) {
    return Status(StatusCode::kMalformed,
                  fmt::format("graph \"{}\": value \"{}\": found two definitions, expected one",
                              view.path, value));
  }

  Status AddNode(const onnx::NodeProto& proto, const onnx::NodeProto& types, uint32_t depth,
                 size_t index, GraphView* view) {
    Node& node = view->nodes[index];
    node.name = proto.name();
    node.op_type = proto.op_type();
    node.domain = Domain(proto.domain());
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    Names reads(node.inputs.begin(), node.inputs.end());
    for (int i = 0; i < proto.attribute_size(); ++i) {
      const bool same = i < types.attribute_size();
      BCTX_RETURN_IF_ERROR(AddAttribute(proto.attribute(i),
                                        same ? types.attribute(i) : proto.attribute(i), depth, view,
                                        &node, &reads));
    }
    reads.erase("");
    for (const std::string& value : reads) view->consumers[value].push_back(index);
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      if (view->initializers.count(output) || !view->producer.emplace(output, index).second) {
        return Duplicate(*view, output);
      }
    }
    return OkStatus();
  }

  Status AddAttribute(const onnx::AttributeProto& proto, const onnx::AttributeProto& types,
                      uint32_t depth, GraphView* view, Node* node, Names* reads) {
    Attribute& attribute = node->attributes.emplace_back();
    attribute.name = proto.name();
    attribute.kind = KindOf(proto);
    switch (attribute.kind) {
      case Attribute::Kind::kFloat:
        attribute.floats = {proto.f()};
        break;
      case Attribute::Kind::kInt:
        attribute.ints = {proto.i()};
        break;
      case Attribute::Kind::kString:
        attribute.strings = {proto.s()};
        break;
      case Attribute::Kind::kFloats:
        attribute.floats.assign(proto.floats().begin(), proto.floats().end());
        break;
      case Attribute::Kind::kInts:
        attribute.ints.assign(proto.ints().begin(), proto.ints().end());
        break;
      case Attribute::Kind::kStrings:
        attribute.strings.assign(proto.strings().begin(), proto.strings().end());
        break;
      case Attribute::Kind::kTensor: {
        BCTX_ASSIGN_OR_RETURN(TensorInfo info, Info(proto.t()));
        attribute.tensor = std::make_shared<const TensorInfo>(std::move(info));
        break;
      }
      case Attribute::Kind::kGraph: {
        auto graph = std::make_shared<GraphView>();
        graph->parent = view;
        graph->path = view->path + "/" + node->Key() + "." + proto.name();
        const onnx::GraphProto& inferred = types.has_g() ? types.g() : proto.g();
        BCTX_RETURN_IF_ERROR(Fill(proto.g(), inferred, depth + 1, graph.get(), reads));
        attribute.graph = std::move(graph);
        break;
      }
      case Attribute::Kind::kOther:
        BCTX_RETURN_IF_ERROR(AddOther(proto, depth, *view, &attribute, reads));
        break;
    }
    return OkStatus();
  }

  // Lists of graphs are kept as bytes, but what they capture is still read by their node.
  Status AddOther(const onnx::AttributeProto& proto, uint32_t depth, const GraphView& view,
                  Attribute* attribute, Names* reads) {
    onnx::AttributeProto plain = proto;
    plain.clear_doc_string();
    attribute->canonical = CanonicalBytes(plain);
    for (const onnx::GraphProto& graph : proto.graphs()) {
      GraphView scratch;
      scratch.parent = &view;
      BCTX_RETURN_IF_ERROR(Fill(graph, graph, depth + 1, &scratch, reads));
    }
    return OkStatus();
  }

  const TensorSource& source_;
};

std::shared_ptr<const GraphView> BodyOf(const onnx::FunctionProto& function,
                                        const TensorSource& source) {
  onnx::GraphProto graph;
  *graph.mutable_node() = function.node();
  for (const std::string& input : function.input()) graph.add_input()->set_name(input);
  for (const std::string& output : function.output()) graph.add_output()->set_name(output);
  auto body = std::make_shared<GraphView>();
  Names captured;
  if (!Builder(source).Fill(graph, graph, 0, body.get(), &captured).ok()) return nullptr;
  return body;
}

Result<ModelView> Build(const onnx::ModelProto& model, const onnx::GraphProto& types,
                        const TensorSource& source) {
  ModelView view;
  view.ir_version = model.ir_version();
  for (const auto& opset : model.opset_import()) {
    view.opsets.emplace_back(Domain(opset.domain()), opset.version());
  }
  for (const auto& function : model.functions()) {
    view.local_functions.push_back(function.domain() + "::" + function.name());
    view.function_bodies.push_back(BodyOf(function, source));
  }
  Names captured;
  BCTX_RETURN_IF_ERROR(Builder(source).Fill(model.graph(), types, 0, &view.graph, &captured));
  return view;
}

}  // namespace

TensorContents ContentsOf(std::string decoded) {
  TensorContents contents;
  contents.size = decoded.size();
  const Digest digest = crypto::Sha256(std::string_view(decoded));
  contents.digest.assign(digest.bytes.begin(), digest.bytes.end());
  if (decoded.size() < kInlineLimit) contents.bytes = std::move(decoded);
  return contents;
}

Result<TensorContents> InlineContents(const onnx::TensorProto& tensor) {
  BCTX_ASSIGN_OR_RETURN(std::string decoded, DecodeInline(tensor));
  return ContentsOf(std::move(decoded));
}

Result<ModelView> BuildView(const onnx::ModelProto& model, const TensorSource& source) {
  try {
    return Build(model, WithInferredTypes(model, source).graph(), source);
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, fmt::format("building a view: {}", error.what()));
  }
}

Result<ModelView> BuildViewWithoutInference(const onnx::ModelProto& model,
                                            const TensorSource& source) {
  try {
    return Build(model, model.graph(), source);
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, fmt::format("building a view: {}", error.what()));
  }
}

}  // namespace backendctx::model
