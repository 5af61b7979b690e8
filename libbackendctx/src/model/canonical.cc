#include "model/canonical.h"

#include <fmt/format.h>

#include <bit>

#include "base/bytes.h"
#include "model/stored_tensor.h"

namespace backendctx::model {
namespace {

using onnx::AttributeProto;
using onnx::SparseTensorProto;
using onnx::TypeProto;

constexpr size_t kFlushAt = 1u << 16;

void WriteShape(bool has_shape, const onnx::TensorShapeProto& shape, CanonicalStream* stream) {
  stream->Tag(has_shape ? '[' : '?');
  if (!has_shape) return;
  stream->Number(static_cast<uint64_t>(shape.dim_size()));
  for (const auto& dim : shape.dim()) {
    if (dim.has_dim_value()) {
      stream->Tag('v');
      stream->Signed(dim.dim_value());
    } else if (dim.has_dim_param()) {
      stream->Tag('p');
      stream->Bytes(dim.dim_param());
    } else {
      stream->Tag('?');
    }
  }
}

Status WriteSparse(const SparseTensorProto& sparse, CanonicalStream* stream) {
  BCTX_RETURN_IF_ERROR(WriteTensor(sparse.values(), stream));
  BCTX_RETURN_IF_ERROR(WriteTensor(sparse.indices(), stream));
  stream->Number(static_cast<uint64_t>(sparse.dims_size()));
  for (const int64_t dim : sparse.dims()) stream->Signed(dim);
  return OkStatus();
}

template <typename List, typename Write>
Status WriteList(const List& list, CanonicalStream* stream, const Write& write) {
  stream->Number(static_cast<uint64_t>(list.size()));
  for (const auto& element : list) BCTX_RETURN_IF_ERROR(write(element));
  return OkStatus();
}

template <typename List, typename Write>
void WritePlain(const List& list, CanonicalStream* stream, const Write& write) {
  stream->Number(static_cast<uint64_t>(list.size()));
  for (const auto& element : list) write(element);
}

// Values that hold no tensor and no graph, which cannot fail.
void WritePlainValue(const AttributeProto& attribute, CanonicalStream* stream) {
  switch (TypeOf(attribute)) {
    case AttributeProto::FLOAT:
      return stream->Float(attribute.f());
    case AttributeProto::INT:
      return stream->Signed(attribute.i());
    case AttributeProto::STRING:
      return stream->Bytes(attribute.s());
    case AttributeProto::TYPE_PROTO:
      return WriteType(attribute.tp(), stream);
    case AttributeProto::FLOATS:
      return WritePlain(attribute.floats(), stream, [&](float value) { stream->Float(value); });
    case AttributeProto::INTS:
      return WritePlain(attribute.ints(), stream, [&](int64_t value) { stream->Signed(value); });
    case AttributeProto::STRINGS:
      return WritePlain(attribute.strings(), stream,
                        [&](const std::string& value) { stream->Bytes(value); });
    case AttributeProto::TYPE_PROTOS:
      return WritePlain(attribute.type_protos(), stream,
                        [&](const TypeProto& type) { WriteType(type, stream); });
    default:
      return;  // neither a type nor a value
  }
}

Status WriteValue(const AttributeProto& attribute, const GraphWriter& graph,
                  CanonicalStream* stream) {
  switch (TypeOf(attribute)) {
    case AttributeProto::TENSOR:
      return WriteTensor(attribute.t(), stream);
    case AttributeProto::GRAPH:
      return graph(attribute.g());
    case AttributeProto::SPARSE_TENSOR:
      return WriteSparse(attribute.sparse_tensor(), stream);
    case AttributeProto::TENSORS:
      return WriteList(attribute.tensors(), stream,
                       [&](const auto& tensor) { return WriteTensor(tensor, stream); });
    case AttributeProto::GRAPHS:
      return WriteList(attribute.graphs(), stream, graph);
    case AttributeProto::SPARSE_TENSORS:
      return WriteList(attribute.sparse_tensors(), stream,
                       [&](const auto& sparse) { return WriteSparse(sparse, stream); });
    default:
      WritePlainValue(attribute, stream);
      return OkStatus();
  }
}

}  // namespace

void CanonicalStream::Append(std::string_view bytes) {
  pending_.append(bytes);
  if (pending_.size() < kFlushAt) return;
  sha_.Update(std::string_view(pending_));
  pending_.clear();
}

void CanonicalStream::Number(uint64_t value) {
  uint8_t bytes[8];
  base::StoreLittle(value, bytes);
  Append(base::AsText(bytes));
}

void CanonicalStream::Float(float value) {
  uint8_t bytes[4];
  base::StoreLittle(std::bit_cast<uint32_t>(value), bytes);
  Append(base::AsText(bytes));
}

void CanonicalStream::Bytes(std::string_view bytes) {
  Number(bytes.size());
  Append(bytes);
}

Digest CanonicalStream::Finish() {
  sha_.Update(std::string_view(pending_));
  pending_.clear();
  return sha_.Finish();
}

AttributeProto::AttributeType TypeOf(const AttributeProto& attribute) {
  if (attribute.type() != AttributeProto::UNDEFINED) return attribute.type();
  if (attribute.has_f()) return AttributeProto::FLOAT;
  if (attribute.has_i()) return AttributeProto::INT;
  if (attribute.has_s()) return AttributeProto::STRING;
  if (attribute.has_t()) return AttributeProto::TENSOR;
  if (attribute.has_g()) return AttributeProto::GRAPH;
  if (attribute.floats_size() > 0) return AttributeProto::FLOATS;
  if (attribute.ints_size() > 0) return AttributeProto::INTS;
  if (attribute.strings_size() > 0) return AttributeProto::STRINGS;
  if (attribute.tensors_size() > 0) return AttributeProto::TENSORS;
  if (attribute.graphs_size() > 0) return AttributeProto::GRAPHS;
  return AttributeProto::UNDEFINED;
}

Status WriteTensor(const onnx::TensorProto& tensor, CanonicalStream* stream) {
  BCTX_ASSIGN_OR_RETURN(const TensorContents contents, StoredContents(tensor));
  stream->Tag('T');
  stream->Signed(tensor.data_type());
  stream->Number(static_cast<uint64_t>(tensor.dims_size()));
  for (const int64_t dim : tensor.dims()) stream->Signed(dim);
  stream->Raw(contents.digest);
  return OkStatus();
}

void WriteType(const TypeProto& type, CanonicalStream* stream) {
  switch (type.value_case()) {
    case TypeProto::kTensorType:
      stream->Tag('t');
      stream->Signed(type.tensor_type().elem_type());
      return WriteShape(type.tensor_type().has_shape(), type.tensor_type().shape(), stream);
    case TypeProto::kSparseTensorType:
      stream->Tag('s');
      stream->Signed(type.sparse_tensor_type().elem_type());
      return WriteShape(type.sparse_tensor_type().has_shape(), type.sparse_tensor_type().shape(),
                        stream);
    case TypeProto::kSequenceType:
      stream->Tag('q');
      return WriteType(type.sequence_type().elem_type(), stream);
    case TypeProto::kOptionalType:
      stream->Tag('o');
      return WriteType(type.optional_type().elem_type(), stream);
    case TypeProto::kMapType:
      stream->Tag('m');
      stream->Signed(type.map_type().key_type());
      return WriteType(type.map_type().value_type(), stream);
    case TypeProto::kOpaqueType:
      stream->Tag('x');
      stream->Bytes(type.opaque_type().domain());
      return stream->Bytes(type.opaque_type().name());
    case TypeProto::VALUE_NOT_SET:
      return stream->Tag('?');
  }
}

Status WriteAttribute(const AttributeProto& attribute, const GraphWriter& graph,
                      CanonicalStream* stream) {
  stream->Tag('A');
  stream->Bytes(attribute.name());
  if (!attribute.ref_attr_name().empty()) {
    stream->Tag('R');
    stream->Number(static_cast<uint64_t>(attribute.type()));
    stream->Bytes(attribute.ref_attr_name());
    return OkStatus();
  }
  stream->Tag('=');
  stream->Number(static_cast<uint64_t>(TypeOf(attribute)));
  return WriteValue(attribute, graph, stream);
}

}  // namespace backendctx::model
