#include "model/infer_types.h"

#include <algorithm>
#include <exception>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "onnx/defs/schema.h"
#include "onnx/shape_inference/implementation.h"

namespace backendctx::model {
namespace {

using onnx::TensorProto;

void CopyWithoutWeights(const TensorProto& from, const TensorSource& source, TensorProto* to) {
  to->set_name(from.name());
  to->set_data_type(from.data_type());
  *to->mutable_dims() = from.dims();
  if (from.data_type() == TensorProto::STRING) return;
  Result<TensorContents> contents = source(from);
  if (contents && contents->size < kInlineLimit) to->set_raw_data(contents->bytes);
}

using Opsets = std::unordered_map<std::string, int>;

// What is copied, and what for.
struct Copying {
  const TensorSource& source;
  Opsets opsets;
};

void CopyGraph(const onnx::GraphProto& from, const Copying& copying, onnx::GraphProto* to);

void CopyNode(const onnx::NodeProto& from, const Copying& copying, onnx::NodeProto* to) {
  to->set_name(from.name());
  to->set_op_type(from.op_type());
  to->set_domain(from.domain());
  if (from.has_overload()) to->set_overload(from.overload());
  *to->mutable_input() = from.input();
  *to->mutable_output() = from.output();
  for (const onnx::AttributeProto& attribute : from.attribute()) {
    onnx::AttributeProto* copy = to->add_attribute();
    const bool has_tensor = attribute.has_t(), has_graph = attribute.has_g();
    if (!has_tensor && !has_graph) {
      *copy = attribute;
      continue;
    }
    copy->set_name(attribute.name());
    copy->set_type(attribute.type());
    if (has_tensor) CopyWithoutWeights(attribute.t(), copying.source, copy->mutable_t());
    if (has_graph) CopyGraph(attribute.g(), copying, copy->mutable_g());
  }
}

// Declared types of inner values are kept only where inference has nothing of its own: for values
// of operators that onnx does not know. Elsewhere they may be stale (people edit a model's inputs
// and forget the rest), and inference would believe them.
void CopyValueInfo(const onnx::GraphProto& from, const Copying& copying, onnx::GraphProto* to) {
  std::unordered_set<std::string> unknown;
  for (const onnx::NodeProto& node : from.node()) {
    const std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
    const auto opset = copying.opsets.find(domain);
    const bool known = opset != copying.opsets.end() &&
                       onnx::OpSchemaRegistry::Schema(node.op_type(), opset->second, domain);
    if (!known) unknown.insert(node.output().begin(), node.output().end());
  }
  for (const onnx::ValueInfoProto& info : from.value_info()) {
    if (unknown.count(info.name())) *to->add_value_info() = info;
  }
}

void CopyGraph(const onnx::GraphProto& from, const Copying& copying, onnx::GraphProto* to) {
  to->set_name(from.name());
  *to->mutable_input() = from.input();
  *to->mutable_output() = from.output();
  CopyValueInfo(from, copying, to);
  for (const TensorProto& tensor : from.initializer()) {
    CopyWithoutWeights(tensor, copying.source, to->add_initializer());
  }
  for (const auto& sparse : from.sparse_initializer()) {
    onnx::SparseTensorProto* copy = to->add_sparse_initializer();
    *copy->mutable_dims() = sparse.dims();
    copy->mutable_values()->set_name(sparse.values().name());
    copy->mutable_values()->set_data_type(sparse.values().data_type());
  }
  for (const onnx::NodeProto& node : from.node()) CopyNode(node, copying, to->add_node());
}

}  // namespace

onnx::ModelProto WithInferredTypes(const onnx::ModelProto& model, const TensorSource& source) {
  onnx::ModelProto copy;
  copy.set_ir_version(model.ir_version());
  *copy.mutable_opset_import() = model.opset_import();
  *copy.mutable_functions() = model.functions();
  Copying copying{source, {}};
  for (const auto& opset : model.opset_import()) {
    int& version = copying.opsets[opset.domain() == "ai.onnx" ? "" : opset.domain()];
    version = std::max(version, static_cast<int>(opset.version()));
  }
  CopyGraph(model.graph(), copying, copy.mutable_graph());
  try {
    onnx::shape_inference::InferShapes(
        copy, onnx::OpSchemaRegistry::Instance(),
        onnx::ShapeInferenceOptions(/*check_type_val=*/false, /*strict_mode_val=*/0,
                                    /*data_prop_val=*/true));
  } catch (const std::exception&) {
    // What was inferred before the throw is in the copy; the rest stays unknown.
  }
  return copy;
}

}  // namespace backendctx::model
