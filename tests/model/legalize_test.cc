// Legalised bodies: what they are made of, and that a front holds exactly them.
#include "model/legalize.h"

#include <algorithm>
#include <limits>
#include <set>

#include "model/compare_front.h"
#include "model/models.h"

namespace backendctx::model {
namespace {

using onnx::ModelProto;
using onnx::NodeProto;

constexpr char kWindow[] = R"(
<ir_version: 10, opset_import: ["" : 25]>
agraph (float[B, 2, S, 16] q, float[B, 2, S, 16] k, float[B, 2, S, 16] v) => (float[B, 2, S, 16] y)
{
  scaled = Neg(q)
  raw = Attention <left_window_size = 3, is_causal = 1> (scaled, k, v)
  y = Neg(raw)
}
)";

constexpr char kBrain[] = R"(
<ir_version: 10, opset_import: ["" : 24]>
agraph (bfloat16[1, 2, 4, 16] q, bfloat16[1, 2, 4, 16] k, bfloat16[1, 2, 4, 16] v,
        bool[4, 4] mask) => (bfloat16[1, 2, 4, 16] y)
{ y = Attention(q, k, v, mask) }
)";

onnx::FunctionProto FunctionOf(const LegalBody& body) {
  onnx::FunctionProto function;
  REQUIRE(function.ParseFromString(body.function));
  return function;
}

size_t Count(const onnx::FunctionProto& function, const std::string& op_type) {
  return static_cast<size_t>(
      std::count_if(function.node().begin(), function.node().end(),
                    [&](const NodeProto& node) { return node.op_type() == op_type; }));
}

TEST_CASE("a window is decomposed into named nodes between the same formals", "[model]") {
  const FlatModel flat = LoadText(kWindow);
  const EncodedPartition partition = PartitionOf(flat, "legal", "", {"raw"});
  const LegalBody body = Legalize(flat, partition).value();
  CHECK(body.replaced == std::vector<std::string>{"Attention"});
  const onnx::FunctionProto function = FunctionOf(body);
  CHECK(function.input_size() == 3);
  CHECK(function.output_size() == 1);
  CHECK(Count(function, "Attention") == 0);
  CHECK(Count(function, "Softmax") == 1);
  std::set<std::string> names, values(function.input().begin(), function.input().end());
  for (const NodeProto& node : function.node()) {
    CHECK(names.insert(node.name()).second);
    for (const std::string& input : node.input()) {
      INFO(node.name() << " reads " << input);
      CHECK((input.empty() || values.count(input)));
    }
    for (const std::string& output : node.output()) {
      CHECK((output.empty() || values.insert(output).second));
    }
    for (const auto& attribute : node.attribute()) CHECK(attribute.ref_attr_name().empty());
  }
  CHECK(values.count(function.output(0)));
}

TEST_CASE("bfloat16 is widened before and rounded once behind a decomposition", "[model]") {
  const FlatModel flat = LoadText(kBrain);
  const LegalBody body = Legalize(flat, PartitionOf(flat, "legal", "", {"y"})).value();
  const onnx::FunctionProto function = FunctionOf(body);
  for (int i = 0; i < 3; ++i) CHECK(function.node(i).op_type() == "Cast");
  const NodeProto& last = *function.node().rbegin();
  CHECK(last.op_type() == "Cast");
  CHECK(last.attribute(0).i() == onnx::TensorProto::BFLOAT16);
  CHECK(last.output(0) == function.output(0));
}

TEST_CASE("the lowest finite addend of a mask closes a key in a decomposition", "[model]") {
  const FlatModel flat = LoadText(R"(
<ir_version: 10, opset_import: ["" : 24]>
agraph (float[B, 2, S, 16] q, float[B, 2, S, 16] k, float[B, 2, S, 16] v,
        float[B, 1, 1, S] mask) => (float[B, 2, S, 16] y)
{ y = Attention(q, k, v, mask) }
)");
  const LegalBody body = Legalize(flat, PartitionOf(flat, "legal", "", {"y"})).value();
  const onnx::FunctionProto function = FunctionOf(body);
  CHECK(function.node(0).op_type() == "Constant");
  CHECK(function.node(0).attribute(0).f() == std::numeric_limits<float>::lowest());
  CHECK(function.node(2).op_type() == "LessOrEqual");
  CHECK(function.node(2).input(0) == function.input(3));
  CHECK(function.node(3).op_type() == "Where");
}

TEST_CASE("what has no decomposition is said", "[model]") {
  const FlatModel flat = LoadText(kWindow);
  const Status none = Legalize(flat, PartitionOf(flat, "legal", "", {"scaled"})).status();
  CHECK(none.code() == StatusCode::kUnimplemented);
  CHECK(none.message() == "no node of it has a decomposition");
  const FlatModel old = LoadText(R"(
<ir_version: 10, opset_import: ["" : 22]>
agraph (float[1, 2, 4, 16] q) => (float[1, 2, 4, 16] y) { y = Attention(q, q, q) })");
  CHECK(Legalize(old, PartitionOf(old, "legal", "", {"y"})).status().message().find("opset 22") !=
        std::string::npos);
}

TEST_CASE("a front holds the legalised body, and its digest is the reader's", "[model]") {
  const FlatModel flat = LoadText(kWindow);
  EncodedPartition partition = PartitionOf(flat, "legal", "", {"raw"});
  const Digest original = partition.structure_digest;
  partition.legal_body = Legalize(flat, partition).value().function;
  FrontTag tag = TestTag();
  const auto nowhere = [](const Digest&) { return std::optional<Placement>(); };
  const std::string front = EncodeFront(flat, {partition}, tag, nowhere).value();
  const DecodedFront decoded = DecodeFront(base::AsBytes(front), LoadLimits{}).value();
  REQUIRE(decoded.calls.size() == 1);
  const Digest legal = LegalBodyDigest(flat, partition).value();
  CHECK(decoded.calls[0].structure_digest.value() == legal);
  CHECK(legal != original);
  ModelProto message = Parsed(front);
  CHECK(message.functions(0).SerializeAsString() == partition.legal_body);

  SECTION("under the metadata encoding the operator stays") {
    tag.encoding = Encoding::kMetadata;
    message = Parsed(EncodeFront(flat, {partition}, tag, nowhere).value());
    CHECK(message.functions_size() == 0);
    CHECK(message.graph().node(1).op_type() == "Attention");
  }
}

TEST_CASE("a legalised body stands for its nodes when fronts are compared", "[model][compare]") {
  const FlatModel flat = LoadText(kWindow);
  EncodedPartition partition = PartitionOf(flat, "legal", "", {"raw"});
  partition.legal_body = Legalize(flat, partition).value().function;
  FrontTag tag = TestTag();
  tag.encoder = 7;
  const ModelProto front = Parsed(Value(EncodeFront(
      flat, {partition}, tag, [](const Digest&) { return std::optional<Placement>(); })));
  const auto compare = [&](const ModelProto& found) {
    return CompareFront(flat, base::AsBytes(found.SerializeAsString()), tag, {"legal"},
                        [](const Placement&) { return std::optional<Digest>(); }, {partition})
        .code();
  };
  CHECK(compare(front) == StatusCode::kOk);
  ModelProto edited = front;
  edited.mutable_functions(0)->mutable_node(0)->set_name("other");
  CHECK(compare(edited) == StatusCode::kCorrupt);
  edited = front;
  edited.mutable_graph()->mutable_node(1)->mutable_input()->SwapElements(0, 1);
  CHECK(compare(edited) == StatusCode::kCorrupt);
  edited = front;
  edited.mutable_graph()->mutable_node(0)->set_op_type("Abs");
  CHECK(compare(edited) == StatusCode::kCorrupt);
}

TEST_CASE("a body with other formals than its partition is refused", "[model][hostile]") {
  const FlatModel flat = LoadText(kWindow);
  EncodedPartition partition = PartitionOf(flat, "legal", "", {"raw"});
  onnx::FunctionProto function = FunctionOf(Legalize(flat, partition).value());
  SECTION("another name") { function.set_name("BackendContext_other"); }
  SECTION("an input less") { function.mutable_input()->RemoveLast(); }
  SECTION("another output") { function.set_output(0, "y9"); }
  SECTION("no function at all") {
    partition.legal_body = "\xff\xff\xff";
    CHECK(LegalBodyDigest(flat, partition).status().code() == StatusCode::kMalformed);
    return;
  }
  partition.legal_body = function.SerializeAsString();
  CHECK(LegalBodyDigest(flat, partition).status().code() == StatusCode::kMalformed);
  CHECK(BodyModel(flat, partition).status().code() == StatusCode::kMalformed);
}

}  // namespace
}  // namespace backendctx::model
