// What ONNX Runtime refuses is refused here, and named; what it accepts is accepted, and understood
// as it understands it.
#include "model/models.h"

namespace backendctx::model {
namespace {

Status Check(const std::string& text) { return LoadText(text).CheckPackable(); }

void CheckRefused(const std::string& text, const std::vector<std::string>& named) {
  const Status status = Check(text);
  CAPTURE(text, status.message());
  CHECK(status.code() == StatusCode::kMalformed);
  for (const std::string& word : named) CHECK(status.message().find(word) != std::string::npos);
}

const std::string kHead = R"(<ir_version: 8, opset_import: ["" : 17]>
g (float[N] x, bool b) => (float[N] y)
)";

// Both branches are given as bodies.
std::string Branches(const std::string& yes, const std::string& no) {
  return kHead + "{ h = Abs(x) y = If(b) <then_branch = t () => (float[N] p) {" + yes +
         "}, else_branch = e () => (float[N] q) {" + no + "}> }";
}

}  // namespace

TEST_CASE("a value that nothing makes is malformed, wherever it is read", "[model][hostile]") {
  CheckRefused(kHead + "{ y = Add(x, gone) }", {"\"y\" (Add)", "\"gone\"", "main graph"});
  CheckRefused(kHead + "{ y = Abs(x) z = Abs(gone) }", {"\"z\" (Abs)", "\"gone\""});
  CheckRefused(kHead + "{ z = Abs(x) }", {"output \"y\""});
  CheckRefused(Branches("p = Add(h, gone)", "q = Neg(x)"),
               {"\"p\" (Add)", "\"gone\"", "then_branch"});
  CheckRefused(Branches("p = Neg(h)", "z = Neg(x)"), {"output \"q\"", "else_branch"});
  // What one branch makes is not there for the other.
  CheckRefused(Branches("p = Neg(h)", "q = Neg(p)"), {"\"q\" (Neg)", "\"p\""});
  CHECK(Check(Branches("p = Neg(h)", "q = Neg(x)")).ok());
  CHECK(Check(kHead + "{ y = Clip(x, , ) }").ok());  // absent is not dangling
}

TEST_CASE("a cycle is malformed, and a node on it is named", "[model][hostile]") {
  CheckRefused(kHead + "{ a = Abs(x) m = Add(a, n) n = Neg(m) after = Abs(n) y = Abs(after) }",
               {"cycle", "\"n\" (Neg)"});
  CheckRefused(kHead + "{ y = Abs(x) m = Neg(m) }", {"cycle", "\"m\" (Neg)"});
  CheckRefused(Branches("p = Neg(y)", "q = Neg(x)"), {"cycle", "\"y\" (If)"});
  CheckRefused(Branches("p = Add(h, r) r = Neg(p)", "q = Neg(x)"), {"cycle", "then_branch"});
  CHECK(Check(kHead + "{ y = Neg(m) m = Abs(x) }").ok());  // unsorted is no cycle
  CHECK(Check(Branches("p = Neg(r) r = Abs(h)", "q = Neg(x)")).ok());
}

TEST_CASE("a value that is made twice is malformed", "[model][hostile]") {
  CheckRefused(kHead + "{ x = Abs(y) y = Abs(x) }", {"\"x\" (Abs)", "there already"});
  CheckRefused(Branches("p = Neg(h)", "q = Neg(x)").replace(kHead.size() + 2, 1, "x"),
               {"\"x\" (Abs)"});
  const TestFolder folder;
  WriteBytes(folder / "m.onnx", FromText(kHead + "{ y = Abs(x) y = Neg(x) }").SerializeAsString());
  const auto twice = FlatModel::Load(folder / "m.onnx", {});
  REQUIRE_FALSE(twice.has_value());
  CHECK(twice.status().code() == StatusCode::kMalformed);
  CHECK(twice.status().detail().file == folder / "m.onnx");
}

TEST_CASE("a model needs an import and an output", "[model][hostile]") {
  onnx::ModelProto model = FromText(kHead + "{ y = Abs(x) }");
  CHECK(LoadProto(model).CheckPackable().ok());
  model.clear_opset_import();
  CHECK(LoadProto(model).CheckPackable().code() == StatusCode::kMalformed);
  model = FromText(kHead + "{ y = Abs(x) }");
  model.mutable_graph()->clear_output();
  CHECK(LoadProto(model).CheckPackable().code() == StatusCode::kMalformed);
  CHECK(Check("<ir_version: 8, opset_import: [\"\" : 17]> g (float[N] x) => (float[N] x) {}").ok());
}

TEST_CASE("functions are checked when they are called", "[model][hostile]") {
  const std::string broken = R"(
<ir_version: 8, opset_import: ["" : 17, "d" : 1]>
g (float[N] x) => (float[N] y) { y = d.outer(x) }
<domain: "d", opset_import: ["" : 17, "d" : 1]> outer (a) => (b) { b = d.inner(a) }
<domain: "d", opset_import: ["" : 17]> inner (a) => (b) { b = Add(a, gone) }
)";
  CheckRefused(broken, {"function \"inner\"", "\"gone\""});
  std::string uncalled = broken;
  uncalled.replace(uncalled.find("d.inner(a)"), 10, "Neg(a)");
  CHECK(Check(uncalled).ok());
}

TEST_CASE("of several imports the last counts, and initializers of one name must be equal",
          "[model]") {
  onnx::ModelProto model = FromText(kHead + "{ y = Add(x, w) }");
  AddWeights(&model, "w", {64}, 1);
  const FlatModel once = LoadProto(model);
  auto* import = model.add_opset_import();
  import->set_domain("ai.onnx");
  import->set_version(11);
  const FlatModel twice = LoadProto(model);
  CHECK(twice.CheckPackable().ok());
  CHECK(twice.view().Opset("") == 11);  // the last
  CHECK_FALSE(twice.graph_digest() == once.graph_digest());
  model.mutable_opset_import()->SwapElements(0, 1);
  CHECK(LoadProto(model).view().Opset("") == 17);
  CHECK(LoadProto(model).graph_digest() == once.graph_digest());

  AddWeights(&model, "w", {64}, 1);
  CHECK(LoadProto(model).CheckPackable().ok());
  // Which one a runtime takes depends on where their bytes are.
  AddWeights(&model, "w", {64}, 5);
  CHECK(LoadProto(model).CheckPackable().code() == StatusCode::kUnimplemented);
}

TEST_CASE("unsorted nodes get the types of sorted ones", "[model]") {
  const std::string text = R"(
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 8] x, bool b) => (float[M] y)
{
  y = ReduceSum <keepdims = 0> (d, axis)
  d = If (b) <
    then_branch = t () => (float[K, L] p) { p = Neg(r) r = MatMul(c, w) },
    else_branch = e () => (float[K, L] q) { q = Identity(c) }>
  c = Add(a, a)
  a = MatMul(x, w)
}
)";
  onnx::ModelProto model = FromText(text);
  AddWeights(&model, "w", {8, 8}, 1);
  onnx::TensorProto* axis = model.mutable_graph()->add_initializer();
  axis->set_name("axis");
  axis->set_data_type(onnx::TensorProto::INT64);
  axis->add_dims(1);
  axis->add_int64_data(1);
  const FlatModel flat = LoadProto(model);
  const GraphView& graph = flat.view().graph;
  CHECK_FALSE(graph.sorted);
  CHECK(graph.nodes[0].op_type == "ReduceSum");
  for (const char* value : {"a", "c"}) {
    const ValueType* type = graph.Type(value);
    CAPTURE(value);
    REQUIRE(type);
    REQUIRE(type->dims.size() == 2);
    CHECK(type->dims[0].symbol == "N");
    CHECK(type->dims[1].value == 8);
  }
  const GraphView& branch = *graph.nodes[1].Find("then_branch")->graph;
  REQUIRE(branch.Type("r"));
  CHECK(branch.Type("r")->dims.size() == 2);
}

TEST_CASE("a domain that is used and not imported leaves the types of the rest", "[model]") {
  const FlatModel flat = LoadText(R"(
<ir_version: 8, opset_import: ["" : 17]>
g (float[2, 8] x) => (float[2, 8] y)
{
  a = com.microsoft.Unheard(x)
  b = Add(x, x)
  c = Add(a, b)
  y = Neg(c)
}
)");
  CHECK(flat.CheckPackable().ok());
  REQUIRE(flat.view().graph.Type("b"));
  CHECK(flat.view().graph.Type("b")->dims.size() == 2);
}

}  // namespace backendctx::model
