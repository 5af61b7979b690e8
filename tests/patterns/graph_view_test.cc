#include "model/graph_view.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "model/tensor_bytes.h"
#include "patterns/model_text.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::ModelView;
using onnx::TensorProto;

constexpr char kBranches[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
branches (bool c, float[n, 4] x) => (float[n, 4] y)
<float[4] w = {1, 2, 3, 4}>
{
  s = Add (x, w)
  y = If (c) <
    then_branch = yes () => (float[n, 4] a) { t = Constant <value_float = 2.0> () a = Mul (s, t) },
    else_branch = no () => (float[n, 4] b) { b = Relu (x) }
  >
}
)";

TEST_CASE("a view keeps nodes, names and order, and counts captured values as read",
          "[model][view]") {
  const ModelView view = ViewOf(kBranches);
  const GraphView& graph = view.graph;
  REQUIRE(graph.nodes.size() == 2);
  CHECK(view.Opset("") == 17);
  CHECK(graph.nodes[1].Key() == "y");
  CHECK(graph.consumers.at("s") == std::vector<size_t>{1});
  CHECK(graph.consumers.at("x") == std::vector<size_t>{0, 1});
  CHECK(graph.is_output.at("y"));
  REQUIRE(graph.Constant("w"));
  CHECK(graph.Constant("w")->size == 16);
  CHECK_FALSE(graph.Constant("x"));
}

TEST_CASE("subgraphs know their parent after the view was moved", "[model][view]") {
  ModelView first = ViewOf(kBranches);
  const ModelView view = std::move(first);
  const auto graphs = AllGraphs(view);
  REQUIRE(graphs.size() == 3);
  CHECK(graphs[1]->path == "/y.then_branch");
  CHECK(graphs[2]->path == "/y.else_branch");
  for (size_t i : {size_t{1}, size_t{2}}) {
    CHECK(graphs[i]->parent == &view.graph);
    CHECK(graphs[i]->Constant("w"));
  }
  CHECK(graphs[1]->Constant("t"));
  REQUIRE(graphs[1]->Type("s"));
  CHECK(graphs[1]->Type("s")->dims == std::vector<model::Dim>{{-1, "n"}, {4, ""}});
  CHECK(graphs[1]->Type("a")->element_type == TensorProto::FLOAT);
}

TEST_CASE("types are inferred where onnx can and the rest stays unknown", "[model][view]") {
  const ModelView view = ViewOf(R"(
    <ir_version: 8, opset_import: ["" : 17, "odd" : 1]>
    g (float[n, 4] x) => (float[n, 4] y, z) {
      a = Relu (x)
      b = odd.Strange (a)
      z = SimplifiedLayerNormalization (b)
      y = Neg (a)
    })");
  REQUIRE(view.graph.Type("a"));
  CHECK(view.graph.Type("a")->dims == std::vector<model::Dim>{{-1, "n"}, {4, ""}});
  CHECK(view.graph.Type("b") == nullptr);
}

TEST_CASE("negative dimensions are unknown ones", "[model][view]") {
  onnx::ModelProto proto = ParseModel(
      R"(<ir_version: 8, opset_import: ["" : 17]>
        g (float[3, 4] x) => (float[3, 4] y) { y = Relu (x) })");
  proto.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(-1);
  const ModelView view = ViewOf(proto);
  CHECK(view.graph.Type("x")->dims == std::vector<model::Dim>{{-1, ""}, {4, ""}});
}

TEST_CASE("a graph input with a default is no constant", "[model][view]") {
  const ModelView view = ViewOf(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[4] x, float[4] w = {1, 2, 3, 4}) => (float[4] y) { y = Add (x, w) })");
  CHECK(view.graph.initializers.count("w") == 1);
  CHECK_FALSE(view.graph.Constant("w"));
}

TensorProto Typed(int32_t type, std::vector<int64_t> dims) {
  TensorProto tensor;
  tensor.set_data_type(type);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

TEST_CASE("typed fields and raw data decode to the same bytes", "[model][tensor]") {
  TensorProto half = Typed(TensorProto::FLOAT16, {2});
  half.add_int32_data(0x3c00);
  half.add_int32_data(0xc000);
  CHECK(model::DecodeInline(half).value() == std::string("\x00\x3c\x00\xc0", 4));

  TensorProto small = Typed(TensorProto::INT8, {2});
  small.add_int32_data(-1);
  small.add_int32_data(5);
  CHECK(model::DecodeInline(small).value() == std::string("\xff\x05"));

  TensorProto nibbles = Typed(TensorProto::INT4, {3});
  nibbles.add_int32_data(0x21);
  nibbles.add_int32_data(0x03);
  CHECK(model::DecodeInline(nibbles).value() == std::string("\x21\x03"));

  TensorProto six = Typed(TensorProto::FLOAT6E2M3, {4});
  for (const int code : {1, 2, 3, 63}) six.add_int32_data(code);
  CHECK(model::DecodeInline(six).value() == std::string("\x81\x30\xfc"));

  TensorProto wide = Typed(TensorProto::UINT32, {1});
  wide.add_uint64_data(0xfffffffe);
  CHECK(model::DecodeInline(wide).value() == std::string("\xfe\xff\xff\xff"));

  TensorProto text = Typed(TensorProto::STRING, {1});
  text.add_string_data("ab");
  CHECK(model::DecodeInline(text).value() == std::string("\x02\0\0\0\0\0\0\0ab", 10));
}

TEST_CASE("data that do not fill the dims are malformed", "[model][tensor][hostile]") {
  TensorProto tensor = Typed(TensorProto::FLOAT, {2});
  tensor.set_raw_data("1234567");
  CHECK(model::DecodeInline(tensor).error().code() == StatusCode::kMalformed);
  tensor.set_raw_data("12345678");
  CHECK(model::DecodeInline(tensor).has_value());
  tensor.set_dims(0, -2);
  CHECK(model::DecodeInline(tensor).error().code() == StatusCode::kMalformed);
  tensor.set_dims(0, int64_t{1} << 62);
  tensor.add_dims(8);
  CHECK(model::DecodeInline(tensor).error().code() == StatusCode::kMalformed);
  CHECK(model::DecodeInline(Typed(0, {1})).error().code() == StatusCode::kMalformed);
  CHECK(model::DecodeInline(Typed(999, {1})).error().code() == StatusCode::kMalformed);
}

TEST_CASE("two definitions of one value are malformed", "[model][view][hostile]") {
  onnx::ModelProto proto = ParseModel(
      R"(<ir_version: 8, opset_import: ["" : 17]>
        g (float[4] x) => (float[4] y) { y = Relu (x) })");
  *proto.mutable_graph()->add_node() = proto.graph().node(0);
  CHECK(model::BuildView(proto).error().code() == StatusCode::kMalformed);
}

}  // namespace
}  // namespace backendctx::patterns
