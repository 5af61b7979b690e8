#include "random_models/builder.h"

#include <bit>
#include <cstring>

namespace backendctx::tests {
namespace {

using onnx::TensorProto;

int64_t CountOf(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

void SetDims(TensorProto* tensor, const std::vector<int64_t>& dims) {
  for (const int64_t dim : dims) tensor->add_dims(dim);
}

}  // namespace

Builder::Builder(uint64_t seed) : random_(seed) {
  opset_ = random_.Of<int64_t>({13, 15, 17, 18, 19, 21, 23});
  const int64_t lowest = opset_ >= 23 ? 10 : opset_ >= 21 ? 10 : opset_ >= 19 ? 9 : 8;
  model().set_ir_version(lowest + static_cast<int64_t>(random_.Below(size_t(11 - lowest) + 1)));
  style_ = random_.Below(40);
}

std::string Builder::Name(const std::string& base) {
  const std::string number = std::to_string(names_++);
  if (style_ < 16) return base + number;
  if (style_ < 28) return "/model/layer." + number + "/" + base + "_output_0";
  if (style_ < 34) return "serving/" + base + ":" + number;
  if (style_ < 37) return number;
  if (style_ < 39) return base + "\u00e4 \u6ce8 " + number;
  Count("control characters in names");
  return base + "\n\t" + number;
}

onnx::NodeProto* Builder::Node(Scope* scope, const std::string& op,
                               const std::vector<std::string>& inputs, const std::string& domain) {
  onnx::NodeProto* node = scope->AddNode();
  node->set_op_type(op);
  if (!domain.empty() || random_.Chance(3)) node->set_domain(domain);
  if (random_.Chance(60)) node->set_name(Name("node"));
  for (const std::string& input : inputs) node->add_input(input);
  node->add_output(Name(op));
  return node;
}

std::string Builder::Add(Scope* scope, const std::string& op,
                         const std::vector<std::string>& inputs, const std::string& domain) {
  return Node(scope, op, inputs, domain)->output(0);
}

void Builder::Import(const std::string& domain, int64_t version) {
  for (const auto& import : model().opset_import()) {
    if (import.domain() == domain) return;
  }
  auto* import = model().add_opset_import();
  import->set_domain(domain);
  import->set_version(version);
}

void Builder::SetAttribute(onnx::NodeProto* node, const std::string& name, int64_t value) {
  auto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

void Builder::SetAttribute(onnx::NodeProto* node, const std::string& name, float value) {
  auto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(value);
}

void Builder::SetAttribute(onnx::NodeProto* node, const std::string& name,
                           const std::vector<int64_t>& values) {
  auto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute->add_ints(value);
}

onnx::GraphProto* Builder::AddGraph(onnx::NodeProto* node, const std::string& name) {
  auto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::GRAPH);
  attribute->mutable_g()->set_name(name);
  return attribute->mutable_g();
}

void Builder::SetType(onnx::ValueInfoProto* info, const std::string& name, bool top) {
  info->set_name(name);
  auto* type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(TensorProto::FLOAT);
  if (random_.Chance(15)) return;
  const char* const symbols[] = {"batch", "length", "width"};
  const int64_t sizes[] = {2, 5, 16};
  for (size_t i = 0; i < 3; ++i) {
    auto* dim = type->mutable_shape()->add_dim();
    const size_t how = random_.Below(10);
    if (how < 4 || i == 2) {
      dim->set_dim_value(sizes[i]);
    } else if (how < 8) {
      dim->set_dim_param(symbols[i]);
    } else if (how == 8 && top) {
      dim->set_dim_value(-1);
    }
  }
}

TensorProto Builder::FloatTensor(const std::vector<int64_t>& dims) {
  TensorProto tensor;
  tensor.set_data_type(TensorProto::FLOAT);
  SetDims(&tensor, dims);
  Random values(random_.Below(6));  // so few that contents are shared
  const bool typed = random_.Chance(30);
  std::string raw;
  for (int64_t i = 0; i < CountOf(dims); ++i) {
    const float value = values.Number() * 0.3f;
    if (typed) tensor.add_float_data(value);
    raw.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  if (!typed) tensor.set_raw_data(raw);
  Count(typed ? "float_data" : "raw_data");
  return tensor;
}

// An initializer or a Constant node, where the scope has the one or the other. `here`: not
// captured.
std::string Builder::Hold(Scope* scope, TensorProto tensor, bool here) {
  const std::string name = Name("weight");
  const size_t where = random_.Below(10);
  if (scope->function == nullptr && where < 6) {
    onnx::GraphProto* top = model().mutable_graph();
    onnx::GraphProto* graph = where < 3 && !here ? top : scope->graph;
    if (graph != top) Count("initializer of a branch");
    tensor.set_name(name);
    if (graph == top && random_.Chance(8)) {
      Count("initializer that is an input");
      auto* input = graph->add_input();
      input->set_name(name);
      auto* type = input->mutable_type()->mutable_tensor_type();
      type->set_elem_type(tensor.data_type());
      for (const int64_t dim : tensor.dims()) type->mutable_shape()->add_dim()->set_dim_value(dim);
    }
    *graph->add_initializer() = std::move(tensor);
    return name;
  }
  onnx::NodeProto* node = Node(scope, "Constant", {});
  if (random_.Chance(50)) tensor.set_name(name);
  auto* attribute = node->add_attribute();
  attribute->set_name("value");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  *attribute->mutable_t() = std::move(tensor);
  Count(scope->function ? "Constant in a function" : "Constant node");
  return node->output(0);
}

std::string Builder::ListConstant(Scope* scope, const std::vector<int64_t>& dims) {
  onnx::NodeProto* node = Node(scope, "Constant", {});
  auto* attribute = node->add_attribute();
  attribute->set_name("value_floats");
  attribute->set_type(onnx::AttributeProto::FLOATS);
  for (int64_t i = 0; i < CountOf(dims); ++i) attribute->add_floats(random_.Number() * 0.3f);
  Count("Constant value_floats");
  const std::string list = node->output(0);
  return Add(scope, "Reshape", {list, Ints(scope, dims)});
}

std::string Builder::Sparse(Scope* scope, const std::vector<int64_t>& dims) {
  onnx::SparseTensorProto sparse;
  TensorProto* values = sparse.mutable_values();
  values->set_data_type(TensorProto::FLOAT);
  TensorProto* indices = sparse.mutable_indices();
  indices->set_data_type(TensorProto::INT64);
  for (const int64_t dim : dims) sparse.add_dims(dim);
  const int64_t step = random_.Chance(50) ? 3 : CountOf(dims) / 4;  // many or few
  for (int64_t i = 1; i < CountOf(dims); i += step) {
    values->add_float_data(random_.Number());
    indices->add_int64_data(i);
  }
  values->add_dims(values->float_data_size());
  indices->add_dims(indices->int64_data_size());
  const std::string name = Name("sparse");
  values->set_name(name);
  if (scope->function == nullptr && scope->depth == 0 && random_.Chance(50)) {
    *scope->graph->add_sparse_initializer() = std::move(sparse);
    Count("sparse initializer");
    return name;
  }
  onnx::NodeProto* node = Node(scope, "Constant", {});
  auto* attribute = node->add_attribute();
  attribute->set_name("sparse_value");
  attribute->set_type(onnx::AttributeProto::SPARSE_TENSOR);
  *attribute->mutable_sparse_tensor() = std::move(sparse);
  Count("sparse Constant");
  return node->output(0);
}

std::string Builder::Quantised(Scope* scope, const std::vector<int64_t>& dims) {
  TensorProto tensor;
  tensor.set_data_type(TensorProto::INT8);
  SetDims(&tensor, dims);
  for (int64_t i = 0; i < CountOf(dims); ++i) {
    tensor.add_int32_data(static_cast<int32_t>(random_.Below(256)) - 128);
  }
  Count("int8 in int32_data");
  // ONNX Runtime wants both in the graph of the node.
  return Add(scope, "DequantizeLinear", {Hold(scope, tensor, true), Float(scope, 0.004f, true)});
}

std::string Builder::OtherType(Scope* scope, const std::vector<int64_t>& dims) {
  struct Type {
    TensorProto::DataType type;
    int64_t opset, bits;
  };
  static constexpr Type kTypes[] = {{TensorProto::UINT8, 13, 8},
                                    {TensorProto::INT16, 13, 16},
                                    {TensorProto::UINT16, 13, 16},
                                    {TensorProto::INT32, 13, 32},
                                    {TensorProto::INT64, 13, 64},
                                    {TensorProto::UINT32, 13, 32},
                                    {TensorProto::UINT64, 13, 64},
                                    {TensorProto::DOUBLE, 13, 64},
                                    {TensorProto::FLOAT16, 13, 16},
                                    {TensorProto::BFLOAT16, 13, 16},
                                    {TensorProto::BOOL, 13, 1},
                                    {TensorProto::FLOAT8E4M3FN, 19, 8},
                                    {TensorProto::FLOAT8E5M2, 19, 8},
                                    {TensorProto::FLOAT8E4M3FNUZ, 19, 8},
                                    {TensorProto::FLOAT8E5M2FNUZ, 19, 8},
                                    {TensorProto::UINT4, 21, 4},
                                    {TensorProto::INT4, 21, 4}};
  Type type = kTypes[random_.Below(std::size(kTypes))];
  if (type.opset > opset_) type = kTypes[random_.Below(11)];
  TensorProto tensor;
  tensor.set_data_type(type.type);
  SetDims(&tensor, dims);
  const int64_t entries = type.bits == 4 ? (CountOf(dims) + 1) / 2 : CountOf(dims);
  for (int64_t i = 0; i < entries; ++i) {
    const auto small = static_cast<int32_t>(random_.Below(type.bits == 1 ? 2 : 32));
    switch (type.type) {
      case TensorProto::INT64:
        tensor.add_int64_data(small - 16);
        break;
      case TensorProto::UINT32:
      case TensorProto::UINT64:
        tensor.add_uint64_data(static_cast<uint64_t>(small));
        break;
      case TensorProto::DOUBLE:
        tensor.add_double_data(small * 0.125);
        break;
      case TensorProto::FLOAT16:
        tensor.add_int32_data(0x3000 + small);
        break;
      case TensorProto::BFLOAT16:
        tensor.add_int32_data(0x3e00 + small);
        break;
      default:
        tensor.add_int32_data(small);
    }
  }
  Count("type " + TensorProto::DataType_Name(type.type));
  onnx::NodeProto* cast = Node(scope, "Cast", {Hold(scope, tensor)});
  SetAttribute(cast, "to", int64_t{TensorProto::FLOAT});
  const std::string out = cast->output(0);
  return Add(scope, "Mul", {out, Float(scope, 0.01f)});
}

std::string Builder::Weight(Scope* scope, const std::vector<int64_t>& dims) {
  switch (random_.Below(14)) {
    case 0:
      return ListConstant(scope, dims);
    case 1:
      return Sparse(scope, dims);
    case 2:
      return Quantised(scope, dims);
    case 3:
    case 4:
      return OtherType(scope, dims);
    default:
      return Hold(scope, FloatTensor(dims));
  }
}

std::string Builder::Ints(Scope* scope, const std::vector<int64_t>& values, bool scalar) {
  if (random_.Chance(30)) {
    onnx::NodeProto* node = Node(scope, "Constant", {});
    if (scalar) {
      SetAttribute(node, "value_int", values[0]);
    } else {
      SetAttribute(node, "value_ints", values);
    }
    return node->output(0);
  }
  TensorProto tensor;
  tensor.set_data_type(TensorProto::INT64);
  if (!scalar) tensor.add_dims(static_cast<int64_t>(values.size()));
  for (const int64_t value : values) tensor.add_int64_data(value);
  Count("int64_data");
  return Hold(scope, std::move(tensor));
}

std::string Builder::Float(Scope* scope, float value, bool here) {
  if (random_.Chance(30)) {
    onnx::NodeProto* node = Node(scope, "Constant", {});
    SetAttribute(node, "value_float", value);
    return node->output(0);
  }
  TensorProto tensor;
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.add_float_data(value);
  return Hold(scope, std::move(tensor), here);
}

std::string Builder::Bool(Scope* scope, bool value) {
  TensorProto tensor;
  tensor.set_data_type(TensorProto::BOOL);
  tensor.add_int32_data(value ? 1 : 0);
  return Hold(scope, std::move(tensor));
}

}  // namespace backendctx::tests
