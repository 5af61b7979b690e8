#include <functional>

#include "model/models.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;

// Two equal layers and a third that differs in one constant; weights of 128 bytes and more, a
// small float constant, integer Constant nodes, a subgraph inside the partition that captures.
constexpr char kLayers[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 8] x, bool c) => (float[N, 8] y)
<float eps = {0.5}>
{
  m0 = MatMul(x, w0)
  shape0 = Constant <value_ints = [-1, 8]> ()
  r0 = Reshape(m0, shape0)
  two0 = Constant <value_float = 2.0> ()
  s0 = Mul(r0, two0)
  a0 = Add(s0, eps)
  i0 = If (c) <
    then_branch = t0 () => (float[N, 8] t)
      { k = Constant <value_float = 3.0> () u = Mul(a0, k) t = Add(u, r0) },
    else_branch = e0 () => (float[N, 8] e) { e = Neg(a0) }
  >
  m1 = MatMul(i0, w1)
  shape1 = Constant <value_ints = [-1, 8]> ()
  r1 = Reshape(m1, shape1)
  two1 = Constant <value_float = 2.0> ()
  s1 = Mul(r1, two1)
  a1 = Add(s1, eps)
  y = If (c) <
    then_branch = t1 () => (float[N, 8] tt)
      { kk = Constant <value_float = 3.0> () uu = Mul(a1, kk) tt = Add(uu, r1) },
    else_branch = e1 () => (float[N, 8] ee) { ee = Neg(a1) }
  >
}
)";

ModelProto Layers() {
  ModelProto model = FromText(kLayers);
  AddWeights(&model, "w0", {8, 8}, 1);
  AddWeights(&model, "w1", {8, 8}, 2);
  return model;
}

const std::vector<std::string> kFirst = {"m0", "r0", "s0", "a0", "i0"};
const std::vector<std::string> kSecond = {"m1", "r1", "s1", "a1", "y"};

Digest FirstDigest(const ModelProto& model) {
  return PartitionOf(LoadProto(model), "p", "", kFirst).structure_digest;
}

onnx::NodeProto* NodeMaking(ModelProto* model, const std::string& value) {
  for (onnx::NodeProto& node : *model->mutable_graph()->mutable_node()) {
    if (KeyOf(node) == value) return &node;
  }
  FAIL("no node makes " << value);
  return nullptr;
}

DecodedFront FrontOf(const ModelProto& model, const std::function<void(ModelProto*)>& edit = {}) {
  const FlatModel flat = LoadProto(model);
  const TestContainer container(flat);
  ModelProto front = Parsed(Value(
      EncodeFront(flat, {PartitionOf(flat, "p0", "", kFirst), PartitionOf(flat, "p1", "", kSecond)},
                  TestTag(), container.layout())));
  if (edit) edit(&front);
  return Value(DecodeFront(base::AsBytes(front.SerializeAsString()), {}));
}

}  // namespace

TEST_CASE("equal layers share a structure digest whatever their names and weights", "[model]") {
  const FlatModel flat = LoadProto(Layers());
  const EncodedPartition first = PartitionOf(flat, "p0", "", kFirst);
  const EncodedPartition second = PartitionOf(flat, "p1", "", kSecond);
  CHECK(first.structure_digest == second.structure_digest);
  CHECK(first.activations == std::vector<std::string>{"x", "c"});
  CHECK(first.weights == std::vector<std::string>{"w0"});
  CHECK(first.constants == std::vector<std::string>{"two0", "eps"});
}

TEST_CASE("the structure digest does not depend on how constants are held", "[model]") {
  const Digest digest = FirstDigest(Layers());
  ModelProto model = Layers();
  SECTION("a Constant node as an initializer") {
    onnx::TensorProto tensor = FloatTensor("two0", {}, 2);
    *model.mutable_graph()->add_initializer() = tensor;
    auto* nodes = model.mutable_graph()->mutable_node();
    nodes->erase(nodes->begin() + 3);
  }
  SECTION("an initializer as a Constant node") {
    onnx::NodeProto constant;
    constant.set_op_type("Constant");
    constant.add_output("eps");
    auto* attribute = constant.add_attribute();
    attribute->set_name("value_float");
    attribute->set_type(onnx::AttributeProto::FLOAT);
    attribute->set_f(0.5f);
    model.mutable_graph()->mutable_initializer()->DeleteSubrange(0, 1);
    *model.mutable_graph()->add_node() = constant;  // at the end: unsorted is taken
  }
  SECTION("value_float as value") {
    auto* attribute = NodeMaking(&model, "two0")->mutable_attribute(0);
    attribute->clear_f();
    attribute->set_name("value");
    attribute->set_type(onnx::AttributeProto::TENSOR);
    *attribute->mutable_t() = FloatTensor("", {}, 2);
  }
  SECTION("other values of a weight") {
    model.mutable_graph()->mutable_initializer(1)->mutable_raw_data()->at(5) ^= 1;
  }
  SECTION("other names of nodes and values") {
    NodeMaking(&model, "m0")->set_name("renamed");
    NodeMaking(&model, "s0")->set_output(0, "another");
    NodeMaking(&model, "a0")->set_input(0, "another");
    const FlatModel flat = LoadProto(model);
    CHECK(PartitionOf(flat, "p", "", {"m0", "r0", "another", "a0", "i0"}).structure_digest ==
          digest);
    return;
  }
  CHECK(FirstDigest(model) == digest);
}

TEST_CASE("the structure digest does not depend on how nodes are listed", "[model]") {
  ModelProto model = Layers();
  const EncodedPartition sorted = PartitionOf(LoadProto(model), "p", "", kFirst);
  auto* nodes = model.mutable_graph()->mutable_node();
  std::reverse(nodes->pointer_begin(), nodes->pointer_end());
  auto* branch = Subgraphs(NodeMaking(&model, "i0"))[0]->mutable_node();
  std::reverse(branch->pointer_begin(), branch->pointer_end());
  const FlatModel flat = LoadProto(model);
  const GraphView& graph = flat.view().graph;
  Region region{{}, sorted.activations, sorted.outputs, sorted.weights, sorted.constants};
  for (const std::string& key : kFirst) region.nodes.push_back(graph.producer.at(key));
  CHECK(Value(StructureDigest(flat.view(), graph, region)) == sorted.structure_digest);
}

TEST_CASE("nodes that no output needs are part of the structure", "[model]") {
  const auto digest = [](const char* text) {
    return PartitionOf(LoadText(text), "p", "", {"y", "d", "e"}).structure_digest;
  };
  const Digest expected = digest(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] x) => (float[N] y) { e = Neg(x) y = Relu(x) d = Abs(e) }
)");
  CHECK(expected == digest(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] x) => (float[N] y) { y = Relu(x) e = Neg(x) d = Abs(e) }
)"));
  CHECK(expected != digest(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] x) => (float[N] y) { y = Relu(x) e = Neg(x) d = Abs(x) }
)"));
}

TEST_CASE("every edit that changes what runs changes the structure digest", "[model]") {
  const Digest digest = FirstDigest(Layers());
  using Edit = std::function<void(ModelProto*)>;
  const auto branch = [](ModelProto* m, size_t i) { return Subgraphs(NodeMaking(m, "i0"))[i]; };
  const std::vector<Edit> edits = {
      [](ModelProto* m) { NodeMaking(m, "a0")->set_op_type("Sub"); },
      [](ModelProto* m) { m->mutable_opset_import(0)->set_version(18); },
      [](ModelProto* m) { NodeMaking(m, "two0")->mutable_attribute(0)->set_f(2.5f); },
      [](ModelProto* m) { NodeMaking(m, "shape0")->mutable_attribute(0)->set_ints(0, 1); },
      [](ModelProto* m) { m->mutable_graph()->mutable_initializer(0)->set_float_data(0, 0.25f); },
      [](ModelProto* m) { m->mutable_graph()->mutable_initializer(1)->set_data_type(6); },
      [](ModelProto* m) {
        *m->mutable_graph()->mutable_initializer(1) = FloatTensor("w0", {4, 16}, 1);
      },
      [](ModelProto* m) { NodeMaking(m, "s0")->mutable_input()->SwapElements(0, 1); },
      [](ModelProto* m) { NodeMaking(m, "a0")->set_input(0, "r0"); },
      [](ModelProto* m) {
        auto* attribute = NodeMaking(m, "r0")->add_attribute();
        attribute->set_name("allowzero");
        attribute->set_type(onnx::AttributeProto::INT);
        attribute->set_i(1);
      },
      [&](ModelProto* m) { branch(m, 0)->mutable_node(0)->mutable_attribute(0)->set_f(4); },
      [&](ModelProto* m) { branch(m, 0)->mutable_node(2)->set_input(1, "m0"); },
      [&](ModelProto* m) { branch(m, 1)->mutable_node(0)->set_op_type("Abs"); },
      [](ModelProto* m) {
        NodeMaking(m, "i0")->mutable_attribute()->Mutable(0)->mutable_g()->Swap(
            NodeMaking(m, "i0")->mutable_attribute()->Mutable(1)->mutable_g());
      },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    ModelProto model = Layers();
    edits[i](&model);
    CHECK(FirstDigest(model) != digest);
  }
}

TEST_CASE("count and order of activations and outputs are part of the structure", "[model]") {
  const FlatModel flat = LoadProto(Layers());
  const GraphView& graph = flat.view().graph;
  const EncodedPartition partition = PartitionOf(flat, "p", "", kFirst);
  Region region{
      {}, partition.activations, partition.outputs, partition.weights, partition.constants};
  for (const std::string& key : partition.nodes) region.nodes.push_back(graph.producer.at(key));
  const auto digest = [&](const Region& of) {
    return Value(StructureDigest(flat.view(), graph, of));
  };
  CHECK(digest(region) == partition.structure_digest);
  Region other = region;
  std::swap(other.activations[0], other.activations[1]);
  CHECK(digest(other) != partition.structure_digest);
  other = region;
  std::swap(other.constants[0], other.constants[1]);
  CHECK(digest(other) != partition.structure_digest);
  other = region;
  other.weights.clear();
  CHECK(digest(other) != partition.structure_digest);
  other = region;
  other.outputs.push_back("a0");
  CHECK(digest(other) != partition.structure_digest);
  other.outputs = {"x"};
  CHECK(StructureDigest(flat.view(), graph, other).status().code() == StatusCode::kInvalidArgument);
  other = region;
  other.activations.pop_back();
  CHECK(StructureDigest(flat.view(), graph, other).status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("a front gives the structure digests of its flat graph", "[model]") {
  const DecodedFront front = FrontOf(Layers());
  const Digest digest = FirstDigest(Layers());
  REQUIRE(front.calls.size() == 2);
  for (const Call& call : front.calls) {
    CHECK(Value(call.structure_digest) == digest);
    CHECK(call.structure_digest_hex == digest.Hex());
  }
  CHECK(front.calls[0].partition == "p0");
  CHECK(front.functions == std::vector<std::string>{"Context_p0", "Context_p1"});
  const Operand& weight = front.calls[0].operands.at(2);
  CHECK(weight.name == "w0");
  CHECK(weight.dims == std::vector<int64_t>{8, 8});
  CHECK(weight.location == TestTag().container);
  CHECK(weight.placement->length == 256);
}

TEST_CASE("an edited front is seen in the digest of the call", "[model]") {
  const Digest digest = FirstDigest(Layers());
  using Edit = std::function<void(ModelProto*)>;
  const auto body = [](ModelProto* m) { return m->mutable_functions(0); };
  const auto initializer = [](ModelProto* m, const std::string& name) -> onnx::TensorProto* {
    for (auto& tensor : *m->mutable_graph()->mutable_initializer()) {
      if (tensor.name() == name) return &tensor;
    }
    FAIL("no initializer " << name);
    return nullptr;
  };
  const std::vector<Edit> edits = {
      [&](ModelProto* m) { body(m)->mutable_node(1)->set_op_type("Gemm"); },
      [&](ModelProto* m) { body(m)->mutable_node(0)->mutable_attribute(0)->set_ints(1, 4); },
      [&](ModelProto* m) { body(m)->mutable_opset_import(0)->set_version(13); },
      [&](ModelProto* m) { body(m)->mutable_input()->SwapElements(0, 1); },
      [&](ModelProto* m) { body(m)->set_output(0, "a0"); },
      [&](ModelProto* m) { initializer(m, "two0")->set_raw_data(std::string("\0\0\0\x41", 4)); },
      [&](ModelProto* m) { initializer(m, "eps")->set_float_data(0, 7); },
      [&](ModelProto* m) { initializer(m, "w0")->set_data_type(6); },
      [&](ModelProto* m) {
        initializer(m, "w0")->set_dims(0, 4), initializer(m, "w0")->set_dims(1, 16);
      },
      [&](ModelProto* m) { m->mutable_graph()->mutable_node(0)->set_input(2, "x"); },
      [&](ModelProto* m) {
        m->mutable_graph()->mutable_node(0)->mutable_input()->SwapElements(3, 4);
      },
      [&](ModelProto* m) { m->mutable_graph()->mutable_node(0)->mutable_input()->RemoveLast(); },
      [&](ModelProto* m) { m->mutable_functions()->DeleteSubrange(0, 1); },
  };
  for (size_t i = 0; i < edits.size(); ++i) {
    INFO("edit " << i);
    const DecodedFront front = FrontOf(Layers(), edits[i]);
    REQUIRE(front.calls.size() == 2);
    const Result<Digest>& found = front.calls[0].structure_digest;
    CHECK((!found.has_value() || *found != digest));
    CHECK(front.calls[1].structure_digest.has_value());
  }
}

TEST_CASE("a call of the model's own function is no part of a partition", "[model]") {
  const FlatModel flat = LoadText(R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
agraph (float[N] x) => (float[N] y) { h = Relu(x) y = local.twice(h) }
<domain: "local", opset_import: ["" : 17]>
twice (a) => (b) { b = Add(a, a) }
)");
  const Result<Digest> digest =
      StructureDigest(flat.view(), flat.view().graph, {{0, 1}, {"x"}, {"y"}});
  CHECK(digest.status().code() == StatusCode::kUnimplemented);
}

}  // namespace backendctx::model
