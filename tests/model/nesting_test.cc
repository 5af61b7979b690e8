// Functions within functions: encoded, read back, compared.
#include <onnx/checker.h>

#include "model/compare_front.h"
#include "model/models.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;

// Two chains that meet, interleaved as they are listed; a constant of every kind that both the
// inner and the outer partition read; an If whose branches capture; one value that nothing reads.
constexpr char kNestedModel[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 8] x, bool c) => (float[N, 8] y, float[N, 8] z)
<float bias = {0.5}>
{
  a0 = MatMul(x, w0)
  b0 = Abs(x)
  shape = Constant <value_ints = [-1, 8]> ()
  a1 = Reshape(a0, shape)
  two = Constant <value_float = 2.0> ()
  b1 = Mul(b0, two)
  dead = Neg(a1)
  a2 = Mul(a1, two)
  b2 = Reshape(b1, shape)
  a3 = Add(a2, bias)
  y = If (c) <
    then_branch = t () => (float[N, 8] then)
      { k = Constant <value_float = 3.0> () kk = Constant <value_ints = [-1, 8]> ()
        u = Mul(a3, k) v = Reshape(u, kk) w = Sub(v, b2) then = Add(w, w1) },
    else_branch = e () => (float[N, 8] else) { e0 = Neg(a3) else = MatMul(e0, w0) }
  >
  m = Add(a3, b2)
  late = Reshape(m, shape)
  z = Mul(late, two)
}
)";

ModelProto Model() {
  ModelProto model = FromText(kNestedModel);
  AddWeights(&model, "w0", {8, 8}, 1);
  AddWeights(&model, "w1", {8, 8}, 2);
  return model;
}

using Keys = std::vector<std::string>;

struct Named {
  std::string id, path;
  Keys nodes;
};

const Named kChain{"chain", "", {"a1", "a2", "dead"}};
const Named kAll{"all", "", {"a0", "a1", "dead", "a2", "b1", "b2", "a3", "y", "m"}};
const Named kPair{"pair", "", {"a1", "dead", "a2", "b1", "b2"}};
const Named kThen{"then", "/y.then_branch", {"u", "v", "w"}};
const Named kInThen{"in-then", "/y.then_branch", {"v", "w"}};
const Named kElse{"else", "/y.else_branch", {"e0"}};

std::vector<EncodedPartition> Partitions(const FlatModel& flat, const std::vector<Named>& named) {
  std::vector<EncodedPartition> partitions;
  for (const Named& one : named) {
    partitions.push_back(PartitionOf(flat, one.id, one.path, one.nodes));
  }
  return partitions;
}

PlaceDigest PlacesOf(const TestContainer& container) {
  return [&container](const Placement& place) -> std::optional<Digest> {
    for (const auto& [digest, at] : container.placements) {
      if (at.offset == place.offset && at.length == place.length) return digest;
    }
    return std::nullopt;
  };
}

// Encodes, and checks everything that holds for every front.
ModelProto Encoded(const ModelProto& model, const std::vector<Named>& named,
                   FrontTag tag = TestTag()) {
  const FlatModel flat = LoadProto(model);
  const TestContainer container(flat);
  const auto partitions = Partitions(flat, named);
  const std::string bytes = Value(EncodeFront(flat, partitions, tag, container.layout()));
  const DecodedFront decoded = Value(DecodeFront(base::AsBytes(bytes), {}));
  CHECK(decoded.calls.size() == named.size());
  std::set<std::string> ids;
  for (const EncodedPartition& partition : partitions) {
    CAPTURE(partition.id);
    ids.insert(partition.id);
    const auto call = std::find_if(decoded.calls.begin(), decoded.calls.end(),
                                   [&](const Call& one) { return one.partition == partition.id; });
    REQUIRE(call != decoded.calls.end());
    CHECK(Value(call->structure_digest) == partition.structure_digest);
    CHECK(call->outputs == partition.outputs);
    CHECK(call->graph_path == partition.graph_path);
    const auto operands = Value(CallOperands(flat, partition));
    REQUIRE(call->operands.size() == operands.size());
    for (size_t i = 0; i < operands.size(); ++i) CHECK(call->operands[i].name == operands[i]);
  }
  tag.encoder = 9;
  const std::string other = Value(EncodeFront(flat, partitions, tag, container.layout()));
  const Status same = CompareFront(flat, base::AsBytes(other), tag, ids, PlacesOf(container));
  INFO(same.message());
  CHECK(same.ok());
  // The checker wants files of external data: here everything is inside.
  const auto nowhere = [](const Digest&) { return std::optional<Placement>(); };
  CHECK_NOTHROW(
      onnx::checker::check_model(Parsed(Value(EncodeFront(flat, partitions, tag, nowhere))), true));
  return Parsed(bytes);
}

const onnx::FunctionProto& FunctionOf(const ModelProto& front, const std::string& id) {
  for (const auto& function : front.functions()) {
    if (function.name() == "Context_" + id) return function;
  }
  FAIL("no function of " << id);
  return front.functions(0);
}

Keys Calls(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
  Keys calls;
  for (const onnx::NodeProto& node : nodes) {
    if (node.domain() == kDomain) calls.push_back(node.op_type());
  }
  return calls;
}

}  // namespace

TEST_CASE("a partition inside another is a function that the other calls", "[model][nesting]") {
  const ModelProto front = Encoded(Model(), {kAll, kChain});
  CHECK(Calls(front.graph().node()) == Keys{"Context_all"});
  const onnx::FunctionProto& all = FunctionOf(front, "all");
  CHECK(Calls(all.node()) == Keys{"Context_chain"});
  CHECK(all.opset_import(all.opset_import_size() - 1).domain() == kDomain);
  CHECK(Calls(FunctionOf(front, "chain").node()).empty());
  CHECK(FunctionOf(front, "chain").opset_import_size() == 1);
  // Readers that want a function before who calls it: whatever the manifest's order.
  CHECK(front.functions(0).name() == "Context_chain");
  CHECK(Encoded(Model(), {kChain, kAll}).SerializeAsString() == front.SerializeAsString());
}

TEST_CASE("partitions nest as deep as they like, in branches too", "[model][nesting]") {
  const ModelProto front = Encoded(Model(), {kInThen, kAll, kElse, kChain, kThen, kPair});
  const onnx::FunctionProto& all = FunctionOf(front, "all");
  CHECK(Calls(all.node()) == Keys{"Context_pair"});
  CHECK(Calls(FunctionOf(front, "pair").node()) == Keys{"Context_chain"});
  for (const onnx::NodeProto& node : all.node()) {
    if (node.op_type() != "If") continue;
    CHECK(Calls(node.attribute(0).g().node()) == Keys{"Context_then"});
    CHECK(Calls(node.attribute(1).g().node()) == Keys{"Context_else"});
  }
  CHECK(Calls(FunctionOf(front, "then").node()) == Keys{"Context_in-then"});
}

TEST_CASE("branches of the graph hold functions of their own", "[model][nesting]") {
  const ModelProto front = Encoded(Model(), {kThen, kInThen, kElse, kPair});
  CHECK(Calls(front.graph().node()) == Keys{"Context_pair"});
  CHECK(Calls(FunctionOf(front, "then").node()) == Keys{"Context_in-then"});
}

TEST_CASE("an unsorted graph nests as a sorted one", "[model][nesting]") {
  ModelProto model = Model();
  auto* nodes = model.mutable_graph()->mutable_node();
  std::reverse(nodes->pointer_begin(), nodes->pointer_end());
  Encoded(model, {kAll, kChain, kThen, kPair});
}

TEST_CASE("partitions that cross cannot both be functions", "[model][nesting]") {
  const FlatModel flat = LoadProto(Model());
  const auto code = [&](const std::vector<Named>& named) {
    return EncodeFront(flat, Partitions(flat, named), TestTag(),
                       [](const Digest&) { return std::optional<Placement>(); })
        .status();
  };
  const Named crossing{"crossing", "", {"a0", "a1"}};
  const Status status = code({kChain, crossing});
  CHECK(status.code() == StatusCode::kUnimplemented);
  CHECK(status.message() ==
        "partitions \"chain\" and \"crossing\" overlap: functions cannot carry both");
  CHECK(code({kChain, {"same", "", kChain.nodes}}).code() == StatusCode::kUnimplemented);
}

TEST_CASE("an embedded container is handed on to the functions inside", "[model][nesting]") {
  const FlatModel flat = LoadProto(Model());
  const auto partitions = Partitions(flat, {kAll, kChain, kThen});
  FrontTag tag = TestTag();
  tag.container = "embedded-0123456789ab.bctx";
  tag.embedded = Value(PlanFront(flat, partitions, Encoding::kFunction)).container_name;
  const std::string container = "the container";
  const std::string bytes = Value(EncodeFront(
      flat, partitions, tag, [](const Digest&) { return std::optional<Placement>(); }, &container));
  const DecodedFront decoded = Value(DecodeFront(base::AsBytes(bytes), {}));
  CHECK(decoded.container == container);
  REQUIRE(decoded.calls.size() == 3);
  for (const EncodedPartition& partition : partitions) {
    for (const Call& call : decoded.calls) {
      if (call.partition != partition.id) continue;
      CHECK(Value(call.structure_digest) == partition.structure_digest);
      CHECK(call.operands.back().name == tag.embedded);
    }
  }
  CHECK_NOTHROW(onnx::checker::check_model(Parsed(bytes), true));
}

TEST_CASE("an edit inside an inner function is seen in the digests of all around it",
          "[model][nesting]") {
  ModelProto front = Encoded(Model(), {kAll, kPair, kChain, kThen});
  const auto stale = [](const ModelProto& edited) {
    const FlatModel flat = LoadProto(Model());
    std::set<std::string> ids;
    const DecodedFront decoded = Value(DecodeFront(base::AsBytes(edited.SerializeAsString()), {}));
    for (const EncodedPartition& one : Partitions(flat, {kAll, kPair, kChain, kThen})) {
      bool holds = false;
      for (const Call& call : decoded.calls) {
        holds |= call.partition == one.id && call.structure_digest.has_value() &&
                 *call.structure_digest == one.structure_digest;
      }
      if (!holds) ids.insert(one.id);
    }
    return ids;
  };
  const auto function = [&front](const std::string& id) {
    return const_cast<onnx::FunctionProto*>(&FunctionOf(front, id));
  };
  using Ids = std::set<std::string>;
  CHECK(stale(front).empty());
  SECTION("another operator") {
    auto* node = function("chain")->mutable_node(function("chain")->node_size() - 1);
    node->set_op_type("Div");
    CHECK(stale(front) == Ids{"all", "pair", "chain"});
  }
  SECTION("another version of an operator set") {
    function("chain")->mutable_opset_import(0)->set_version(13);
    CHECK(stale(front) == Ids{"all", "pair", "chain"});
  }
  SECTION("operands swapped in the middle") {
    for (auto& node : *function("pair")->mutable_node()) {
      if (node.op_type() == "Context_chain") node.mutable_input()->SwapElements(0, 1);
    }
    CHECK(stale(front) == Ids{"all", "pair", "chain"});
  }
  SECTION("a branch") {
    function("then")->mutable_node(function("then")->node_size() - 1)->set_op_type("Add");
    CHECK(stale(front) == Ids{"all", "then"});
  }
  SECTION("an inner function is gone") {
    function("chain")->set_name("Other");
    CHECK(stale(front) == Ids{"all", "pair", "chain"});
  }
  SECTION("a value of the outer body under the name of an inner one") {
    onnx::NodeProto* node = function("pair")->add_node();
    node->set_op_type("Neg");
    node->set_name("more");
    node->add_input(function("pair")->input(0));
    node->add_output("dead");
    CHECK(stale(front) == Ids{"all", "pair"});
  }
}

TEST_CASE("functions that call many more of themselves are refused", "[model][nesting]") {
  ModelProto model = Parsed(Value([] {
    const FlatModel flat = LoadText(R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N] x) => (float[N] y) { y = Neg(x) }
)");
    return EncodeFront(flat, {PartitionOf(flat, "p", "", {"y"})}, TestTag(),
                       [](const Digest&) { return std::optional<Placement>(); });
  }()));
  constexpr int kFunctions = 64;
  for (int i = 1; i < kFunctions; ++i) {
    onnx::FunctionProto* function = model.add_functions();
    *function = model.functions(0);
    function->set_name("f" + std::to_string(i));
    function->clear_node();
    const std::string inner = i == 1 ? "Context_p" : "f" + std::to_string(i - 1);
    for (const auto& [from, to] : {std::pair{function->input(0), std::string("t")},
                                   std::pair{std::string("t"), function->output(0)}}) {
      onnx::NodeProto* call = function->add_node();
      call->set_domain(kDomain);
      call->set_op_type(inner);
      call->set_name("n" + to);
      call->add_input(from);
      call->add_output(to);
    }
  }
  model.mutable_graph()->mutable_node(0)->set_op_type("f" + std::to_string(kFunctions - 1));
  CHECK(DecodeFront(base::AsBytes(model.SerializeAsString()), {}).status().code() ==
        StatusCode::kResourceExhausted);
}

TEST_CASE("a name that a graph inside a function hides makes stale, and is no error",
          "[model][nesting]") {
  ModelProto front = Encoded(Model(), {kAll, kChain});
  onnx::FunctionProto* all = front.mutable_functions(1);
  REQUIRE(all->name() == "Context_all");
  for (onnx::NodeProto& node : *all->mutable_node()) {
    if (node.op_type() != "If") continue;
    auto* branch = node.mutable_attribute(1)->mutable_g();
    branch->mutable_node(0)->set_output(0, "x");  // what the graph passes
    branch->mutable_node(1)->set_input(0, "x");
  }
  const DecodedFront decoded = Value(DecodeFront(base::AsBytes(front.SerializeAsString()), {}));
  CHECK(decoded.calls.size() == 1);
  CHECK(decoded.inlined.status().code() == StatusCode::kMalformed);
}

TEST_CASE("functions within functions within graphs have a limit", "[model][nesting]") {
  ModelProto model = Encoded(Model(), {kThen});
  constexpr int kFunctions = 200;
  onnx::NodeProto call;
  for (int i = 0; i < kFunctions; ++i) {
    onnx::FunctionProto* function = model.add_functions();
    function->set_domain(kDomain);
    function->set_name("f" + std::to_string(i));
    function->add_input("c");
    function->add_output("r");
    *function->mutable_opset_import() = FunctionOf(model, "then").opset_import();
    onnx::NodeProto* node = function->add_node();
    node->set_op_type("If");
    node->add_input("c");
    node->add_output("r");
    for (const char* name : {"then_branch", "else_branch"}) {
      auto* attribute = node->add_attribute();
      attribute->set_name(name);
      attribute->set_type(onnx::AttributeProto::GRAPH);
      onnx::NodeProto* inner = attribute->mutable_g()->add_node();
      if (i > 0 && std::string(name) == "then_branch") {
        *inner = call;
      } else {
        inner->set_op_type("Identity");
        inner->add_input("c");
      }
      inner->clear_output();
      inner->add_output("o" + std::to_string(i));
      attribute->mutable_g()->add_output()->set_name(inner->output(0));
    }
    call.Clear();
    call.set_domain(kDomain);
    call.set_op_type(function->name());
    call.add_input("c");
  }
  call.add_output("deep");
  *model.mutable_graph()->add_node() = call;
  CHECK(DecodeFront(base::AsBytes(model.SerializeAsString()), {}).status().code() ==
        StatusCode::kResourceExhausted);
}

}  // namespace backendctx::model
