#include "model/models.h"

namespace backendctx::model {
namespace {

constexpr char kSmall[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N, 4] x) => (float[N, 4] y)
<float[4] scale = {1.0, 2.0, 3.0, 4.0}>
{
  h = Mul(x, scale)
  y = Relu(h)
}
)";

}  // namespace

TEST_CASE("a stored graph parses to the same model", "[model]") {
  const FlatModel flat = LoadText(kSmall);
  CHECK(flat.tensors().empty());
  const std::string stored = flat.Stored();
  CHECK(stored == FromText(kSmall).SerializeAsString());
  const FlatModel again = Value(FlatModel::Parse(base::AsBytes(stored), LookupOf(flat), {}));
  CHECK(again.Stored() == stored);
  CHECK(again.graph_digest() == flat.graph_digest());
}

}  // namespace backendctx::model
