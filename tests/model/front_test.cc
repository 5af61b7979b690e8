#include <algorithm>
#include <set>

#include "model/models.h"
#include "onnx/checker.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;

constexpr char kTwoLayers[] = R"(
<ir_version: 7, opset_import: ["" : 17]>
agraph (float[N, 4] x) => (float[N, 4] y)
<float[4] bias = {1.0, 2.0, 3.0, 4.0}, float[4] other = {1.0, 2.0, 3.0, 4.0}>
{
  two = Constant <value_float = 2.0> ()
  shape = Constant <value_ints = [-1, 4]> ()
  a = Mul(x, two)
  b = Reshape(a, shape)
  c = Add(b, bias)
  d = Mul(c, two)
  e = Reshape(d, shape)
  y = Add(e, other)
}
)";

// A partition in a branch that captures from outside; both branches have a large Constant of one
// name and a branch returns one.
constexpr char kPartitionInBranch[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 32] x, bool c) => (float[N, 32] y)
{
  h = Relu(x)
  y = If (c) <
    then_branch = t () => (float[N, 32] tt)
      { k = Constant <value_float = 2.0> () u = Mul(h, k) v = Add(u, big) tt = Neg(v) },
    else_branch = e () => (float[32] table) { unused = Neg(h) }
  >
}
)";

ModelProto Branches() {
  ModelProto model = FromText(kPartitionInBranch);
  const auto graphs = Subgraphs(model.mutable_graph()->mutable_node(1));
  AddFirst(LargeConstant("big", 1), graphs[0]);
  AddFirst(LargeConstant("big", 2), graphs[1]);
  AddFirst(LargeConstant("table", 3), graphs[1]);
  return model;
}

std::string Front(const FlatModel& flat, const std::vector<EncodedPartition>& partitions,
                  Encoding encoding = Encoding::kFunction) {
  const TestContainer container(flat);
  return Value(EncodeFront(flat, partitions, TestTag(encoding), container.layout()));
}

std::vector<std::string> Operators(const onnx::GraphProto& graph) {
  std::vector<std::string> operators;
  for (const auto& node : graph.node()) operators.push_back(node.op_type());
  return operators;
}

}  // namespace

TEST_CASE("a partition becomes a function and a call", "[model]") {
  const FlatModel flat = LoadText(kTwoLayers);
  const EncodedPartition first = PartitionOf(flat, "p0", "", {"a", "b", "c"});
  const EncodedPartition second = PartitionOf(flat, "p1", "", {"d", "e", "y"});
  const ModelProto front = Parsed(Front(flat, {first, second}));
  CHECK(front.ir_version() == 8);
  REQUIRE(Operators(front.graph()) == std::vector<std::string>{"Context_p0", "Context_p1"});
  const onnx::NodeProto& call = front.graph().node(0);
  CHECK(call.domain() == kDomain);
  CHECK(call.name() == "backendctx_p0");
  CHECK(std::vector<std::string>(call.input().begin(), call.input().end()) ==
        std::vector<std::string>{"x", "two", "bias"});
  CHECK(Value(CallOperands(flat, first)) == std::vector<std::string>{"x", "two", "bias"});
  CHECK(call.output(0) == "c");
  const onnx::FunctionProto& function = front.functions(0);
  CHECK(std::vector<std::string>(function.input().begin(), function.input().end()) ==
        std::vector<std::string>{"x0", "c0", "c1"});
  CHECK(function.output(0) == "y0");
  REQUIRE(function.node_size() == 4);  // the integer Constant was copied in
  CHECK(function.node(0).op_type() == "Constant");
  CHECK(function.opset_import_size() == 1);
  CHECK(function.opset_import(0).version() == 17);
  for (const auto& node : function.node()) CHECK(!node.name().empty());
  bool imported = false;
  for (const auto& import : front.opset_import()) imported |= import.domain() == kDomain;
  CHECK(imported);
  CHECK_NOTHROW(onnx::checker::check_model(front, true));
  EncodedPartition named = first;
  CHECK(std::count(named.constants.begin(), named.constants.end(), "shape") == 0);
  named.constants.push_back("shape");
  CHECK((Front(flat, {named, second}) == Front(flat, {first, second})));
}

TEST_CASE("a front tells what it was made of", "[model]") {
  const FlatModel flat = LoadText(kTwoLayers);
  for (const Encoding encoding : {Encoding::kFunction, Encoding::kMetadata}) {
    const DecodedFront front = Value(DecodeFront(
        base::AsBytes(Front(flat, {PartitionOf(flat, "p0", "", {"a", "b", "c"})}, encoding)), {}));
    REQUIRE(front.tag.has_value());
    CHECK(front.tag->container == TestTag().container);
    CHECK(front.tag->manifest == TestTag().manifest);
    CHECK(front.tag->encoder == kEncoderVersion);
    CHECK(front.tag->encoding == encoding);
    CHECK(front.tag->variant == "default");
    CHECK(front.calls.size() == (encoding == Encoding::kFunction ? 1 : 0));
    CHECK(front.opset == 17);
  }
  CHECK(!Value(DecodeFront(base::AsBytes(FromText(kTwoLayers).SerializeAsString()), {})).tag);
}

TEST_CASE("the same stored graph gives the same front", "[model]") {
  const FlatModel flat = LoadProto(Branches());
  const FlatModel again = Value(FlatModel::Parse(base::AsBytes(flat.Stored()), LookupOf(flat), {}));
  const TestContainer container(flat);
  const EncodedPartition partition = PartitionOf(flat, "p0", "/y.then_branch", {"u", "v"});
  CHECK(Value(EncodeFront(flat, {partition}, TestTag(), container.layout())) ==
        Value(EncodeFront(again, {partition}, TestTag(), container.layout())));
}

TEST_CASE("large constants leave their branches, under unique names", "[model]") {
  const FlatModel flat = LoadProto(Branches());
  for (const Encoding encoding : {Encoding::kFunction, Encoding::kMetadata}) {
    const ModelProto front = Parsed(Front(flat, {}, encoding));
    std::set<std::string> names;
    for (const auto& tensor : front.graph().initializer()) {
      CHECK(tensor.data_location() == onnx::TensorProto::EXTERNAL);
      CHECK(tensor.external_data_size() == 3);
      names.insert(tensor.name());
    }
    CHECK(names == std::set<std::string>{"big_1", "big_2", "table_1"});
    const auto graphs = Subgraphs(front.graph().node(1));
    CHECK(Operators(*graphs[0]) == std::vector<std::string>{"Constant", "Mul", "Add", "Neg"});
    CHECK(graphs[0]->node(2).input(1) == "big_1");
    CHECK(Operators(*graphs[1]) == std::vector<std::string>{"Identity", "Neg"});
    CHECK(graphs[1]->node(0).input(0) == "table_1");
    CHECK(graphs[1]->node(0).output(0) == "table");
  }
}

TEST_CASE("what a DequantizeLinear of a branch reads stays there", "[model]") {
  ModelProto model = FromText(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[2, 200] x, bool b) => (float[2, 200] y)
<float scale = {0.5}>
{
  y = If (b) <
    then_branch = t () => (float[2, 200] p)
    { w = Constant <value_ints = [1, 2, 3]> () d = DequantizeLinear(w, scale) p = Mul(x, d) },
    else_branch = e () => (float[2, 200] q)
    { v = Constant <value_ints = [1, 2, 3]> () f = Cast <to = 1> (v) q = Mul(x, f) }>
}
)");
  for (onnx::AttributeProto& branch :
       *model.mutable_graph()->mutable_node(0)->mutable_attribute()) {
    onnx::NodeProto* constant = branch.mutable_g()->mutable_node(0);
    constant->clear_attribute();
    auto* value = constant->add_attribute();
    value->set_name("value");
    value->set_type(onnx::AttributeProto::TENSOR);
    value->mutable_t()->set_data_type(onnx::TensorProto::INT8);
    value->mutable_t()->add_dims(200);
    value->mutable_t()->set_raw_data(std::string(200, '\x05'));
  }
  const FlatModel flat = LoadProto(model);
  const ModelProto front = Parsed(Front(flat, {}));
  const auto graphs = Subgraphs(front.graph().node(0));
  REQUIRE(Operators(*graphs[0]) == std::vector<std::string>{"Constant", "DequantizeLinear", "Mul"});
  CHECK(graphs[0]->node(0).attribute(0).t().raw_data() == std::string(200, '\x05'));
  CHECK(Operators(*graphs[1]) == std::vector<std::string>{"Cast", "Mul"});
  CHECK(front.graph().initializer_size() == 2);  // scale, and the constant that left
}

TEST_CASE("a partition inside a branch takes captured values as inputs", "[model]") {
  const FlatModel flat = LoadProto(Branches());
  const EncodedPartition partition = PartitionOf(flat, "p0", "/y.then_branch", {"u", "v"});
  CHECK(partition.activations == std::vector<std::string>{"h"});
  const std::string bytes = Front(flat, {partition});
  const ModelProto front = Parsed(bytes);
  const auto graphs = Subgraphs(front.graph().node(1));
  REQUIRE(Operators(*graphs[0]) == std::vector<std::string>{"Context_p0", "Neg"});
  const auto& call = graphs[0]->node(0);
  CHECK(std::vector<std::string>(call.input().begin(), call.input().end()) ==
        std::vector<std::string>{"h", "big_1", "k"});
  const DecodedFront decoded = Value(DecodeFront(base::AsBytes(bytes), {}));
  REQUIRE(decoded.calls.size() == 1);
  CHECK(decoded.calls[0].graph_path == "/y.then_branch");
  CHECK(Value(decoded.calls[0].structure_digest) == partition.structure_digest);
}

TEST_CASE("equal initializers share one range of the container", "[model]") {
  ModelProto model = FromText(kTwoLayers);
  AddWeights(&model, "w", {8, 8}, 1);
  AddWeights(&model, "same", {8, 8}, 1);
  const ModelProto front = Parsed(Front(LoadProto(model), {}));
  const auto& w = front.graph().initializer(2);
  const auto& same = front.graph().initializer(3);
  CHECK(w.external_data(1).key() == "offset");
  CHECK(w.external_data(1).value() == same.external_data(1).value());
  CHECK(front.graph().initializer(0).data_location() == onnx::TensorProto::DEFAULT);
}

TEST_CASE("a call comes where all that it reads is there, in unsorted models too", "[model]") {
  ModelProto model = FromText(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] x) => (float[N] y)
{
  a = Neg(x)
  b = Relu(x)
  c = Add(a, b)
  d = Mul(c, b)
  y = Sub(d, a)
}
)");
  model.mutable_graph()->mutable_node()->SwapElements(0, 4);
  model.mutable_graph()->mutable_node()->SwapElements(1, 3);
  const FlatModel flat = LoadProto(model);
  const EncodedPartition partition = PartitionOf(flat, "p0", "", {"c", "d"});
  const ModelProto front = Parsed(Front(flat, {partition}));
  std::set<std::string> made = {"x"};
  for (const auto& node : front.graph().node()) {
    for (const std::string& input : node.input()) CHECK(made.count(input));
    made.insert(node.output().begin(), node.output().end());
  }
  CHECK_NOTHROW(onnx::checker::check_model(front, true));
}

TEST_CASE("formals avoid the names inside a body", "[model]") {
  const FlatModel flat = LoadText(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] in) => (float[N] out)
{
  x0 = Neg(in)
  y0 = Relu(x0)
  out = Add(y0, x0)
}
)");
  const EncodedPartition partition = PartitionOf(flat, "p0", "", {"x0", "y0", "out"});
  const std::string bytes = Front(flat, {partition});
  const ModelProto front = Parsed(bytes);
  CHECK(front.functions(0).input(0) == "x0_");
  CHECK(front.functions(0).output(0) == "y0_");
  CHECK(Value(Value(DecodeFront(base::AsBytes(bytes), {})).calls[0].structure_digest) ==
        partition.structure_digest);
}

TEST_CASE("a model's own properties and functions stay in its front", "[model]") {
  ModelProto model = FromText(R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1], metadata_props: ["k" : "v"]>
agraph (float[N] x) => (float[N] y) { a = Neg(x) h = Relu(a) y = local.twice(h) }
<domain: "local", opset_import: ["" : 17]>
twice (a) => (b) { b = Add(a, a) }
)");
  const FlatModel flat = LoadProto(model);
  const ModelProto front = Parsed(Front(flat, {PartitionOf(flat, "p0", "", {"a", "h"})}));
  REQUIRE(front.functions_size() == 2);
  CHECK(front.functions(0).name() == "twice");
  REQUIRE(front.metadata_props_size() == 2);
  CHECK(front.metadata_props(0).key() == "k");
  CHECK_NOTHROW(onnx::checker::check_model(front, true));
}

TEST_CASE("what a function cannot carry is refused and named", "[model]") {
  const auto code = [](const FlatModel& flat, const std::vector<EncodedPartition>& partitions) {
    const Result<std::string> front =
        EncodeFront(flat, partitions, TestTag(), [](const Digest&) { return std::nullopt; });
    CHECK((front.has_value() || !front.status().message().empty()));
    return front.status().code();
  };
  const FlatModel flat = LoadText(kTwoLayers);
  const EncodedPartition first = PartitionOf(flat, "p0", "", {"a", "b", "c"});
  EncodedPartition other = PartitionOf(flat, "p1", "", {"c", "d"});
  CHECK(code(flat, {first, other}) == StatusCode::kUnimplemented);  // both have c
  other = first;
  other.outputs.clear();
  CHECK(code(flat, {other}) == StatusCode::kInvalidArgument);
  other = first;
  other.constants.clear();
  CHECK(code(flat, {other}) == StatusCode::kInvalidArgument);
  other = first;
  other.nodes.push_back("nowhere");
  CHECK(code(flat, {other}) == StatusCode::kInvalidArgument);
  other = first;
  other.graph_path = "/y.body";
  CHECK(code(flat, {other}) == StatusCode::kInvalidArgument);
  ModelProto no_import = FromText(kTwoLayers);
  no_import.mutable_graph()->mutable_node(2)->set_domain("com.microsoft");
  const FlatModel lax = LoadProto(no_import);
  CHECK(code(lax, {PartitionOf(lax, "p0", "", {"a", "b", "c"})}) == StatusCode::kUnimplemented);
  CHECK(code(lax, {}) == StatusCode::kOk);
}

TEST_CASE("a body is a model of its own with typed inputs", "[model]") {
  ModelProto model = FromText(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 8] x) => (float[N, 8] y)
{
  two = Constant <value_float = 2.0> ()
  shape = Constant <value_ints = [-1, 8]> ()
  a = MatMul(x, w)
  b = Reshape(a, shape)
  c = Mul(b, two)
  y = Neg(c)
}
)");
  AddWeights(&model, "w", {8, 8}, 1);
  const FlatModel flat = LoadProto(model);
  const EncodedPartition partition = PartitionOf(flat, "p0", "", {"a", "b", "c"});
  const ModelProto body = Parsed(Value(BodyModel(flat, partition)));
  CHECK_NOTHROW(onnx::checker::check_model(body, true));
  REQUIRE(body.graph().input_size() == 3);
  CHECK(body.graph().input(0).name() == "x0");
  CHECK(body.graph().input(0).type().tensor_type().shape().dim(0).dim_param() == "N");
  CHECK(body.graph().input(1).type().tensor_type().shape().dim(1).dim_value() == 8);
  CHECK(body.graph().input(2).type().tensor_type().elem_type() == onnx::TensorProto::FLOAT);
  CHECK(body.graph().output(0).name() == "y0");
}

}  // namespace backendctx::model
