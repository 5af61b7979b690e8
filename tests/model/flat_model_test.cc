#include <functional>

#include "model/models.h"
#include "model/state.h"
#include "model/write_model.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;
using onnx::TensorProto;

constexpr char kSmall[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 4] x) => (float[N, 4] y)
<float[4] scale = {1.0, 2.0, 3.0, 4.0}>
{
  h = Mul(x, scale)
  y = Relu(h)
}
)";

constexpr char kBranches[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 32] x, bool c) => (float[N, 32] y)
{
  h = Relu(x)
  y = If (c) <
    then_branch = then_graph () => (float[N, 32] t)
      { k = Constant <value_float = 2.0> () t = Mul(h, k) },
    else_branch = else_graph () => (float[N, 32] e) { e = Neg(h) }
  >
}
)";

constexpr char kFunctions[] = R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
agraph (float[N] x) => (float[N] y) { y = local.twice <alpha = 3.0> (x) }
<domain: "local", opset_import: ["" : 17]>
twice <alpha> (a) => (b) { f = Constant <value_float : float = @alpha> () b = Mul(a, f) }
)";

TensorProto Typed(int32_t type, const std::vector<int64_t>& dims,
                  const std::function<void(TensorProto*)>& fill) {
  TensorProto tensor;
  tensor.set_data_type(type);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  fill(&tensor);
  return tensor;
}

// One tensor of each kind of typed field, all of 128 bytes and more.
std::vector<TensorProto> TypedTensors() {
  const auto ints = [](int count, int step) {
    return [=](TensorProto* t) {
      for (int i = 0; i < count; ++i) t->add_int32_data((i - count / 2) * step);
    };
  };
  const auto halves = [](TensorProto* t) {
    for (int i = 0; i < 80; ++i) t->add_int32_data(i * 700);
  };
  return {
      Typed(TensorProto::FLOAT, {40},
            [](auto* t) {
              for (int i = 0; i < 40; ++i) t->add_float_data(static_cast<float>(i) * 0.5f);
            }),
      Typed(TensorProto::DOUBLE, {20},
            [](auto* t) {
              for (int i = 0; i < 20; ++i) t->add_double_data(i);
            }),
      Typed(TensorProto::INT64, {20},
            [](auto* t) {
              for (int i = 0; i < 20; ++i) t->add_int64_data(-i);
            }),
      Typed(TensorProto::UINT64, {20},
            [](auto* t) {
              for (int i = 0; i < 20; ++i) t->add_uint64_data(~0ull - i);
            }),
      Typed(TensorProto::UINT32, {40},
            [](auto* t) {
              for (int i = 0; i < 40; ++i) t->add_uint64_data(4000000000u + i);
            }),
      Typed(TensorProto::INT32, {40}, ints(40, 100000)),
      Typed(TensorProto::INT16, {80}, ints(80, 300)),
      Typed(TensorProto::INT8, {200}, ints(200, 1)),
      Typed(TensorProto::UINT8, {200},
            [](auto* t) {
              for (int i = 0; i < 200; ++i) t->add_int32_data(i);
            }),
      Typed(TensorProto::FLOAT16, {80}, halves),
      Typed(TensorProto::BFLOAT16, {80}, halves),
      Typed(TensorProto::INT4, {301},
            [](auto* t) {
              for (int i = 0; i < 151; ++i) t->add_int32_data(i);
            }),
      Typed(TensorProto::COMPLEX64, {20},
            [](auto* t) {
              for (int i = 0; i < 40; ++i) t->add_float_data(static_cast<float>(i));
            }),
      Typed(TensorProto::STRING, {20},
            [](auto* t) {
              for (int i = 0; i < 20; ++i) t->add_string_data("s" + std::to_string(i));
            }),
  };
}

ModelProto TypedModel() {
  ModelProto model = FromText(kSmall);
  int i = 0;
  for (TensorProto& tensor : TypedTensors()) {
    tensor.set_name("typed" + std::to_string(i++));
    model.mutable_graph()->add_initializer()->Swap(&tensor);
  }
  return model;
}

ModelProto EverywhereModel() {
  ModelProto model = FromText(kBranches);
  AddWeights(&model, "w", {8, 32}, 1);
  AddWeights(&model, "same", {8, 32}, 1);
  auto* node = model.mutable_graph()->mutable_node(0);
  auto* attribute = node->add_attribute();
  attribute->set_name("table");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  *attribute->mutable_t() = FloatTensor("t", {40}, 5);
  attribute = node->add_attribute();
  attribute->set_name("tables");
  attribute->set_type(onnx::AttributeProto::TENSORS);
  *attribute->add_tensors() = FloatTensor("t", {41}, 6);
  auto* then_graph = Subgraphs(model.mutable_graph()->mutable_node(1))[0];
  *then_graph->add_initializer() = FloatTensor("inner", {50}, 7);
  auto* sparse = model.mutable_graph()->add_sparse_initializer();
  sparse->add_dims(1000);
  *sparse->mutable_values() = FloatTensor("sparse", {64}, 8);
  *sparse->mutable_indices() = Typed(TensorProto::INT64, {64}, [](auto* t) {
    for (int i = 0; i < 64; ++i) t->add_int64_data(i * 3);
  });
  auto* function = model.add_functions();
  function->set_domain("local");
  function->set_name("f");
  attribute = function->add_attribute_proto();
  attribute->set_name("default");
  attribute->set_type(onnx::AttributeProto::TENSOR);
  *attribute->mutable_t() = FloatTensor("d", {60}, 9);
  return model;
}

ModelProto OddModel() {
  ModelProto model = FromText(kSmall);
  model.set_doc_string("a model");
  model.set_producer_name("somebody");
  model.clear_opset_import();
  auto* property = model.add_metadata_props();
  property->set_key("k");
  property->set_value("v");
  auto* graph = model.mutable_graph();
  graph->mutable_node()->SwapElements(0, 1);  // unsorted
  graph->mutable_node(0)->set_doc_string("a node");
  graph->mutable_node(0)->mutable_unknown_fields()->append(
      "\xc2\x3e\x03"
      "xyz",
      6);
  graph->mutable_initializer(0)->mutable_unknown_fields()->append(
      "\xc2\x3e\x03"
      "abc",
      6);
  return model;
}

void CheckRoundTrip(const ModelProto& model) {
  const TestFolder folder;
  WriteBytes(folder / "in.onnx", model.SerializeAsString());
  const FlatModel flat = Value(FlatModel::Load(folder / "in.onnx", {}));
  const FlatModel again = Value(FlatModel::Parse(base::AsBytes(flat.Stored()), LookupOf(flat), {}));
  CHECK(again.Stored() == flat.Stored());
  CHECK(again.graph_digest() == flat.graph_digest());
  CHECK(again.tensors().size() == flat.tensors().size());
  for (const FlatModel* from : {&flat, &again}) {
    REQUIRE(from->WriteModel(folder / "out.onnx", true).ok());
    const ModelProto out = Parsed(ReadBytes(folder / "out.onnx"));
    CHECK((WithRawTensors(out).SerializeAsString() == WithRawTensors(model).SerializeAsString()));
    CHECK(Value(FlatModel::Load(folder / "out.onnx", {})).graph_digest() == flat.graph_digest());
  }
}

}  // namespace

TEST_CASE("load, store, parse and write give the same model back, field by field", "[model]") {
  SECTION("small") { CheckRoundTrip(FromText(kSmall)); }
  SECTION("branches") { CheckRoundTrip(FromText(kBranches)); }
  SECTION("functions") { CheckRoundTrip(FromText(kFunctions)); }
  SECTION("typed fields") { CheckRoundTrip(TypedModel()); }
  SECTION("tensors everywhere") { CheckRoundTrip(EverywhereModel()); }
  SECTION("unsorted, unknown fields, no imports") { CheckRoundTrip(OddModel()); }
}

TEST_CASE("typed fields come back as typed fields, bit for bit", "[model]") {
  const TestFolder folder;
  const ModelProto model = TypedModel();
  REQUIRE(LoadProto(model).WriteModel(folder / "out.onnx", false).ok());
  CHECK((ReadBytes(folder / "out.onnx") == model.SerializeAsString()));
}

TEST_CASE("unknown fields are kept in the stored graph", "[model]") {
  CHECK(LoadProto(OddModel()).Stored() == OddModel().SerializeAsString());
}

TEST_CASE("equal tensors are one content", "[model]") {
  const FlatModel flat = LoadProto(EverywhereModel());
  CHECK(flat.tensors().size() == 7);  // w and same; table, tables, inner, values, indices, default
  for (size_t i = 1; i < flat.tensors().size(); ++i) {
    CHECK(flat.tensors()[i - 1].digest < flat.tensors()[i].digest);
  }
}

TEST_CASE("the digest of a model does not depend on where its tensors are", "[model]") {
  const TestFolder folder;
  ModelProto model = FromText(kSmall);
  AddWeights(&model, "w", {8, 8}, 1);
  AddWeights(&model, "small", {3}, 2);
  const Digest inside = LoadProto(model).graph_digest();
  ModelProto external = model;
  for (TensorProto& tensor : *external.mutable_graph()->mutable_initializer()) {
    if (tensor.has_raw_data()) MakeExternal(&tensor, folder / "m.data");
  }
  WriteBytes(folder / "m.onnx", external.SerializeAsString());
  const FlatModel flat = Value(FlatModel::Load(folder / "m.onnx", {}));
  CHECK(flat.graph_digest() == inside);
  REQUIRE(flat.WriteModel(folder / "out.onnx", false).ok());
  CHECK((WithRawTensors(Parsed(ReadBytes(folder / "out.onnx"))).SerializeAsString() ==
         WithRawTensors(model).SerializeAsString()));
  ModelProto typed = model;
  TensorProto* w = typed.mutable_graph()->mutable_initializer(1);
  w->clear_raw_data();
  for (int i = 0; i < 64; ++i) w->add_float_data(static_cast<float>(1 + i));
  CHECK(LoadProto(typed).graph_digest() == inside);
}

TEST_CASE("the graph digest covers meaning and nothing else", "[model]") {
  const ModelProto model = EverywhereModel();
  const Digest digest = LoadProto(model).graph_digest();
  using Edit = std::function<void(ModelProto*)>;
  const std::vector<Edit> harmless = {
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_name("renamed"); },
      [](ModelProto* m) { m->set_doc_string("doc"); },
      [](ModelProto* m) { m->set_producer_name("other"); },
      [](ModelProto* m) { m->add_metadata_props()->set_key("k"); },
      [](ModelProto* m) { m->mutable_graph()->set_name("other"); },
      [](ModelProto* m) { m->mutable_graph()->add_value_info()->set_name("h"); },
      [](ModelProto* m) { m->mutable_opset_import(0)->set_domain("ai.onnx"); },
      [](ModelProto* m) { m->mutable_graph()->mutable_initializer()->SwapElements(0, 1); },
      [](ModelProto* m) {
        m->mutable_graph()->mutable_node(0)->mutable_attribute()->SwapElements(0, 1);
      },
  };
  for (size_t i = 0; i < harmless.size(); ++i) {
    INFO("harmless edit " << i);
    ModelProto edited = model;
    harmless[i](&edited);
    CHECK(LoadProto(edited).graph_digest() == digest);
  }
  const auto branch = [](ModelProto* m, size_t i) {
    return Subgraphs(m->mutable_graph()->mutable_node(1))[i];
  };
  const std::vector<Edit> edits = {
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_op_type("Neg"); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_domain("other"); },
      [](ModelProto* m) { m->mutable_opset_import(0)->set_version(18); },
      [](ModelProto* m) { m->mutable_graph()->mutable_node()->SwapElements(0, 1); },
      [](ModelProto* m) {
        (*m->mutable_graph()->mutable_initializer(0)->mutable_raw_data())[3] ^= 1;
      },
      [](ModelProto* m) { m->mutable_graph()->mutable_initializer(0)->set_name("v"); },
      [](ModelProto* m) {
        m->mutable_graph()->mutable_initializer(0)->mutable_dims()->SwapElements(0, 1);
      },
      [](ModelProto* m) {
        m->mutable_graph()->mutable_initializer(0)->set_data_type(TensorProto::INT32);
      },
      [](ModelProto* m) {
        m->mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
            10);
      },
      [](ModelProto* m) { m->mutable_graph()->mutable_output(0)->set_name("h"); },
      [](ModelProto* m) { m->mutable_graph()->mutable_sparse_initializer(0)->set_dims(0, 999); },
      [](ModelProto* m) { m->mutable_functions(0)->add_input("a"); },
      [](ModelProto* m) {
        m->mutable_functions(0)->mutable_attribute_proto(0)->mutable_t()->mutable_raw_data()->at(
            0) ^= 1;
      },
      [&](ModelProto* m) { branch(m, 0)->mutable_node(0)->mutable_attribute(0)->set_f(3); },
      [&](ModelProto* m) { branch(m, 1)->mutable_node(0)->set_op_type("Abs"); },
      [&](ModelProto* m) { branch(m, 0)->mutable_initializer(0)->mutable_raw_data()->at(9) ^= 1; },
      [](ModelProto* m) {
        m->mutable_graph()
            ->mutable_node(0)
            ->mutable_attribute(1)
            ->mutable_tensors(0)
            ->mutable_raw_data()
            ->at(9) ^= 1;
      },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    ModelProto edited = model;
    edits[i](&edited);
    CHECK(LoadProto(edited).graph_digest() != digest);
  }
}

TEST_CASE("a model beyond the limit gets its weights in a file beside it", "[model]") {
  const TestFolder folder;
  ModelProto model = FromText(kSmall);
  AddWeights(&model, "w", {64, 64}, 1);
  AddWeights(&model, "same", {64, 64}, 1);
  AddWeights(&model, "other", {64, 65}, 2);
  const FlatModel flat = LoadProto(model);
  const std::string path = folder / "out.onnx";
  REQUIRE(WriteModelWithin(8192, flat.state(), path, false).ok());
  const ModelProto out = Parsed(ReadBytes(path));
  CHECK(std::filesystem::file_size(path) < 2048);
  CHECK(std::filesystem::file_size(path + ".data") == 16384 + 64 * 65 * 4);
  CHECK((WithRawTensors(out, folder.path().string()).SerializeAsString() ==
         WithRawTensors(model).SerializeAsString()));
  CHECK(Value(FlatModel::Load(path, {})).graph_digest() == flat.graph_digest());
}

TEST_CASE("an existing model is replaced only when asked", "[model]") {
  const TestFolder folder;
  WriteBytes(folder / "out.onnx", "old");
  const FlatModel flat = LoadText(kSmall);
  CHECK(flat.WriteModel(folder / "out.onnx", false).code() == StatusCode::kIo);
  CHECK(ReadBytes(folder / "out.onnx") == "old");
  CHECK(flat.WriteModel(folder / "out.onnx", true).ok());
  CHECK(ReadBytes(folder / "out.onnx") == FromText(kSmall).SerializeAsString());
}

TEST_CASE("what cannot be packed is named", "[model]") {
  const auto message = [](const std::function<void(ModelProto*)>& edit) {
    ModelProto model = FromText(kSmall);
    edit(&model);
    const Status status = LoadProto(model).CheckPackable();
    CHECK(status.code() == StatusCode::kUnimplemented);
    return status.message();
  };
  CHECK(LoadText(kSmall).CheckPackable().ok());
  CHECK(LoadText(kFunctions).CheckPackable().ok());
  ModelProto twice = FromText(kSmall);
  *twice.mutable_graph()->add_initializer() = twice.graph().initializer(0);
  CHECK(LoadProto(twice).CheckPackable().ok());
  CHECK(message([](ModelProto* m) {
          for (const char value : {'\x01', '\x02'}) {
            TensorProto* tensor = m->mutable_graph()->add_initializer();
            tensor->set_name("twice");
            tensor->set_data_type(TensorProto::INT8);
            tensor->add_dims(200);
            tensor->set_raw_data(std::string(200, value));
          }
        }).find("two initializers \"twice\" with different values") != std::string::npos);
  CHECK(message([](ModelProto* m) {
          m->mutable_graph()->mutable_node(0)->set_domain(kDomain);
        }).find("org.backendctx") != std::string::npos);
  CHECK(message([](ModelProto* m) {
          m->add_metadata_props()->set_key(kFrontProperty);
        }).find("restore") != std::string::npos);
}

}  // namespace backendctx::model
