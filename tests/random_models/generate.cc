#include "random_models/generate.h"

#include "random_models/builder.h"

namespace backendctx::tests {
namespace {

using onnx::TensorProto;

void Imports(Builder* builder) {
  Random& random = builder->random();
  auto* import = builder->model().add_opset_import();
  import->set_domain(random.Chance(10) ? "ai.onnx" : "");
  import->set_version(builder->opset());
}

// Of two imports the last counts; the first may even name another version.
void RepeatImport(Builder* builder) {
  Random& random = builder->random();
  if (!random.Chance(10)) return;
  auto* imports = builder->model().mutable_opset_import();
  auto* import = imports->Add();
  import->set_domain(random.Of({"", "ai.onnx"}));
  import->set_version(random.Chance(50) ? builder->opset() : 12);
  imports->SwapElements(0, imports->size() - 1);
  builder->Count("import twice");
}

void Inputs(Builder* builder, Scope* scope) {
  Random& random = builder->random();
  onnx::GraphProto* graph = scope->graph;
  builder->SetType(graph->add_input(), "x", true);
  auto* flag = graph->add_input();
  flag->set_name("flag");
  flag->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
  flag->mutable_type()->mutable_tensor_type()->mutable_shape();
  scope->values.push_back("x");
  if (random.Chance(30)) {
    builder->SetType(graph->add_input(), "second", true);
    scope->values.push_back("second");
  }
  if (random.Chance(10)) {
    auto* input = graph->add_input();
    input->set_name("several");
    auto* element = input->mutable_type()->mutable_sequence_type()->mutable_elem_type();
    element->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
    const std::string first =
        builder->Add(scope, "SequenceAt", {"several", builder->Ints(scope, {0}, true)});
    scope->values.push_back(builder->Add(scope, "Add", {"x", first}));
    builder->Count("sequence input");
  }
  if (random.Chance(10) && builder->opset() >= 15) {
    auto* input = graph->add_input();
    input->set_name("perhaps");
    auto* element = input->mutable_type()->mutable_optional_type()->mutable_elem_type();
    element->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
    const std::string first = builder->Add(scope, "OptionalGetElement", {"perhaps"});
    scope->values.push_back(builder->Add(scope, "Add", {"x", first}));
    builder->Count("optional input");
  }
}

void Outputs(Builder* builder, Scope* scope, const std::string& value) {
  Random& random = builder->random();
  builder->SetType(scope->graph->add_output(), value, true);
  if (random.Chance(10)) {
    builder->SetType(scope->graph->add_output(), "x", true);
    builder->Count("output that is an input");
  }
  if (random.Chance(10)) {
    for (const TensorProto& tensor : scope->graph->initializer()) {
      if (tensor.data_type() != TensorProto::FLOAT) continue;
      auto* output = scope->graph->add_output();
      output->set_name(tensor.name());
      output->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
      builder->Count("output that is an initializer");
      break;
    }
  }
}

// Tensors that no runtime has kernels for, or that nobody reads.
void Unread(Builder* builder) {
  Random& random = builder->random();
  if (!random.Chance(15)) return;
  struct Type {
    TensorProto::DataType type;
    int bits;
  };
  const Type type = random.Of<Type>({{TensorProto::COMPLEX64, 64},
                                     {TensorProto::COMPLEX128, 128},
                                     {TensorProto::FLOAT4E2M1, 4},
                                     {TensorProto::FLOAT8E8M0, 8},
                                     {TensorProto::UINT2, 2},
                                     {TensorProto::INT2, 2},
                                     {TensorProto::FLOAT6E2M3, 6},
                                     {TensorProto::FLOAT6E3M2, 6}});
  TensorProto* tensor = builder->model().mutable_graph()->add_initializer();
  tensor->set_name(builder->Name("unread"));
  tensor->set_data_type(type.type);
  const int64_t count = random.Of<int64_t>({0, 1, 3, 5, 33, 1001});
  tensor->add_dims(count);
  const auto bytes = static_cast<size_t>((count * type.bits + 7) / 8);
  std::string raw(bytes, '\0');
  for (char& byte : raw) byte = static_cast<char>(random.Below(256));
  const int64_t used = count * type.bits % 8;  // bits behind the last element stay zero
  if (used != 0) raw.back() = static_cast<char>(raw.back() & ((1 << used) - 1));
  tensor->set_raw_data(raw);
  builder->made().runs = false;
  builder->Count("type " + TensorProto::DataType_Name(type.type));
}

void Training(Builder* builder) {
  if (!builder->random().Chance(5)) return;
  auto* training = builder->model().add_training_info();
  onnx::GraphProto* graph = training->mutable_algorithm();
  graph->set_name("algorithm");
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("Constant");
  node->add_output("rate");
  auto* attribute = node->add_attribute();
  attribute->set_name("value");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  attribute->mutable_t()->set_data_type(TensorProto::FLOAT);
  attribute->mutable_t()->add_dims(50);
  attribute->mutable_t()->set_raw_data(std::string(200, 'r'));
  graph->add_output()->set_name("rate");
  auto* binding = training->add_update_binding();
  binding->set_key("x");
  binding->set_value("rate");
  builder->Count("training information");
}

}  // namespace

RandomModel GenerateModel(uint64_t seed) {
  Builder builder(seed);
  onnx::ModelProto& model = builder.model();
  Imports(&builder);
  Scope scope;
  scope.graph = model.mutable_graph();
  scope.graph->set_name("random");
  Inputs(&builder, &scope);
  const std::string start = scope.values.back();
  Outputs(&builder, &scope, RandomBlocks(&builder, &scope, start, 2 + builder.random().Below(6)));
  Unread(&builder);
  Training(&builder);
  RepeatImport(&builder);
  Decorate(&builder);
  return std::move(builder.made());
}

}  // namespace backendctx::tests
