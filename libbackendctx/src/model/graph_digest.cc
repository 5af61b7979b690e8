#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "model/canonical.h"

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::FunctionProto;
using onnx::GraphProto;
using onnx::NodeProto;

template <typename Message>
std::vector<const Message*> SortedByName(const google::protobuf::RepeatedPtrField<Message>& list) {
  std::vector<const Message*> sorted;
  for (const Message& message : list) sorted.push_back(&message);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Message* a, const Message* b) { return a->name() < b->name(); });
  return sorted;
}

class GraphHasher {
 public:
  Result<Digest> Model(const onnx::ModelProto& model) {
    stream_.Bytes("backendctx graph digest 1");
    Imports(model.opset_import());
    BCTX_RETURN_IF_ERROR(Graph(model.graph()));
    BCTX_RETURN_IF_ERROR(Functions(model));
    stream_.Number(static_cast<uint64_t>(model.training_info_size()));
    for (const auto& training : model.training_info()) BCTX_RETURN_IF_ERROR(Training(training));
    return stream_.Finish();
  }

 private:
  void Imports(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
    std::map<std::string, int64_t> sorted;  // of several imports of a domain the last counts
    for (const auto& import : imports) sorted[DomainOf(import.domain())] = import.version();
    stream_.Tag('O');
    stream_.Number(sorted.size());
    for (const auto& [domain, version] : sorted) {
      stream_.Bytes(domain);
      stream_.Signed(version);
    }
  }

  template <typename List>
  void Names(const List& names) {
    stream_.Number(static_cast<uint64_t>(names.size()));
    for (const std::string& name : names) stream_.Bytes(name);
  }

  void Values(char tag, const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& values) {
    stream_.Tag(tag);
    stream_.Number(static_cast<uint64_t>(values.size()));
    for (const auto& value : values) {
      stream_.Bytes(value.name());
      WriteType(value.type(), &stream_);
    }
  }

  Status Initializers(const GraphProto& graph) {
    stream_.Tag('W');
    stream_.Number(static_cast<uint64_t>(graph.initializer_size()));
    for (const onnx::TensorProto* tensor : SortedByName(graph.initializer())) {
      stream_.Bytes(tensor->name());
      BCTX_RETURN_IF_ERROR(WriteTensor(*tensor, &stream_));
    }
    std::vector<const onnx::SparseTensorProto*> sparse;
    for (const auto& tensor : graph.sparse_initializer()) sparse.push_back(&tensor);
    std::stable_sort(sparse.begin(), sparse.end(), [](const auto* a, const auto* b) {
      return a->values().name() < b->values().name();
    });
    stream_.Number(sparse.size());
    for (const onnx::SparseTensorProto* tensor : sparse) {
      stream_.Bytes(tensor->values().name());
      BCTX_RETURN_IF_ERROR(WriteTensor(tensor->values(), &stream_));
      BCTX_RETURN_IF_ERROR(WriteTensor(tensor->indices(), &stream_));
      stream_.Number(static_cast<uint64_t>(tensor->dims_size()));
      for (const int64_t dim : tensor->dims()) stream_.Signed(dim);
    }
    return OkStatus();
  }

  Status Graph(const GraphProto& graph) {
    stream_.Tag('G');
    Values('I', graph.input());
    BCTX_RETURN_IF_ERROR(Initializers(graph));
    BCTX_RETURN_IF_ERROR(Nodes(graph.node()));
    Values('Y', graph.output());
    return OkStatus();
  }

  Status Nodes(const google::protobuf::RepeatedPtrField<NodeProto>& nodes) {
    stream_.Tag('N');
    stream_.Number(static_cast<uint64_t>(nodes.size()));
    for (const NodeProto& node : nodes) {
      stream_.Bytes(DomainOf(node.domain()));
      stream_.Bytes(node.op_type());
      stream_.Bytes(node.overload());
      Names(node.input());
      Names(node.output());
      BCTX_RETURN_IF_ERROR(Attributes(node.attribute()));
    }
    return OkStatus();
  }

  Status Attributes(const google::protobuf::RepeatedPtrField<AttributeProto>& attributes) {
    stream_.Number(static_cast<uint64_t>(attributes.size()));
    for (const AttributeProto* attribute : SortedByName(attributes)) {
      BCTX_RETURN_IF_ERROR(WriteAttribute(
          *attribute, [this](const GraphProto& graph) { return Graph(graph); }, &stream_));
    }
    return OkStatus();
  }

  Status Functions(const onnx::ModelProto& model) {
    std::vector<const FunctionProto*> sorted;
    for (const FunctionProto& function : model.functions()) sorted.push_back(&function);
    const auto key = [](const FunctionProto* f) {
      return std::make_tuple(DomainOf(f->domain()), f->name(), f->overload());
    };
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](const auto* a, const auto* b) { return key(a) < key(b); });
    stream_.Number(sorted.size());
    for (const FunctionProto* function : sorted) BCTX_RETURN_IF_ERROR(Function(*function));
    return OkStatus();
  }

  Status Function(const FunctionProto& function) {
    stream_.Tag('F');
    stream_.Bytes(DomainOf(function.domain()));
    stream_.Bytes(function.name());
    stream_.Bytes(function.overload());
    Names(function.input());
    Names(function.output());
    Names(function.attribute());
    BCTX_RETURN_IF_ERROR(Attributes(function.attribute_proto()));
    Imports(function.opset_import());
    return Nodes(function.node());
  }

  Status Training(const onnx::TrainingInfoProto& training) {
    BCTX_RETURN_IF_ERROR(Graph(training.initialization()));
    BCTX_RETURN_IF_ERROR(Graph(training.algorithm()));
    for (const auto* bindings : {&training.initialization_binding(), &training.update_binding()}) {
      stream_.Number(static_cast<uint64_t>(bindings->size()));
      for (const auto& binding : *bindings) {
        stream_.Bytes(binding.key());
        stream_.Bytes(binding.value());
      }
    }
    return OkStatus();
  }

  CanonicalStream stream_;
};

}  // namespace

Result<Digest> GraphDigest(const onnx::ModelProto& model) { return GraphHasher().Model(model); }

}  // namespace backendctx::model
