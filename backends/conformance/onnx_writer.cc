// Field numbers are those of onnx.proto, which never change.
#include "conformance/onnx_writer.h"

namespace backendctx::conformance {
namespace {

class Message {
 public:
  Message& Int(uint32_t field, int64_t value) {
    Varint(field << 3);
    Varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& Bytes(uint32_t field, const std::string& value) {
    Varint(field << 3 | 2);
    Varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& Add(uint32_t field, const Message& value) { return Bytes(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

Message TensorProto(const std::string& name, const Tensor& tensor, const uint64_t* table_offset) {
  Message proto;
  for (const int64_t dim : tensor.dims) proto.Int(1, dim);  // dims
  proto.Int(2, kFloat).Bytes(8, name);                      // data_type, name
  const size_t size = tensor.data.size() * sizeof(float);
  if (table_offset == nullptr) {
    return proto.Bytes(9, {reinterpret_cast<const char*>(tensor.data.data()), size});  // raw_data
  }
  const std::pair<const char*, std::string> entries[] = {{"location", "weights"},
                                                         {"offset", std::to_string(*table_offset)},
                                                         {"length", std::to_string(size)}};
  for (const auto& [key, value] : entries) {
    proto.Add(13, Message().Bytes(1, key).Bytes(2, value));  // external_data
  }
  return proto.Int(14, 1);  // data_location: external
}

// ValueInfoProto; dims null: of any shape.
Message ValueInfo(const std::string& name, const Dims* dims) {
  Message tensor;
  tensor.Int(1, kFloat);  // elem_type
  if (dims != nullptr) {
    Message shape;
    for (const int64_t dim : *dims) {
      Message one;
      if (dim >= 0) one.Int(1, dim);  // dim_value
      shape.Add(1, one);
    }
    tensor.Add(2, shape);
  }
  return Message().Bytes(1, name).Add(2, Message().Add(1, tensor));
}

Message NodeProto(const Node& node) {
  Message proto;
  for (const std::string& input : node.inputs) proto.Bytes(1, input);
  proto.Bytes(2, node.output).Bytes(4, node.op);
  if (node.axis) {
    proto.Add(5, Message().Bytes(1, "axis").Int(3, *node.axis).Int(20, 2));  // an INT
  }
  if (!node.domain.empty()) proto.Bytes(7, node.domain);
  return proto;
}

}  // namespace

std::string WriteOnnx(const Model& model, bctx_onnx_form form,
                      const std::map<std::string, uint64_t>& table_offsets) {
  Message graph;
  for (const Node& node : model.nodes) graph.Add(1, NodeProto(node));
  graph.Bytes(2, model.name);
  for (const auto& [name, tensor] : model.constants) {
    if (form != BCTX_ONNX_WEIGHTS) continue;
    const auto place = table_offsets.find(name);
    graph.Add(5,
              TensorProto(name, tensor, place == table_offsets.end() ? nullptr : &place->second));
  }
  for (const Input& input : model.inputs) graph.Add(11, ValueInfo(input.name, &input.dims));
  for (const auto& [name, tensor] : model.constants) {
    if (form == BCTX_ONNX_OPERANDS) graph.Add(11, ValueInfo(name, &tensor.dims));
  }
  for (const std::string& output : model.outputs) graph.Add(12, ValueInfo(output, nullptr));
  Message proto;
  proto.Int(1, 10).Add(7, graph).Add(8, Message().Bytes(1, "").Int(2, kOpset));
  for (const Node& node : model.nodes) {
    if (!node.domain.empty()) proto.Add(8, Message().Bytes(1, node.domain).Int(2, 1));
  }
  return proto.bytes();
}

}  // namespace backendctx::conformance
