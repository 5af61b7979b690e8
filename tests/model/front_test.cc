#include "model/models.h"

namespace backendctx::model {
namespace {

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

}  // namespace

TEST_CASE("equal layers have equal structure digests and one function each", "[model]") {
  const FlatModel flat = LoadText(kTwoLayers);
  const EncodedPartition first = PartitionOf(flat, "p0", "", {"a", "b", "c"});
  const EncodedPartition second = PartitionOf(flat, "p1", "", {"d", "e", "y"});
  CHECK(first.structure_digest == second.structure_digest);
  const TestContainer container(flat);
  const std::string front =
      Value(EncodeFront(flat, {first, second}, TestTag(), container.layout()));
  const onnx::ModelProto model = Parsed(front);
  CHECK(model.ir_version() == 8);
  REQUIRE(model.functions_size() == 2);
  REQUIRE(model.graph().node_size() == 2);
  CHECK(model.graph().node(0).domain() == kDomain);
}

}  // namespace backendctx::model
