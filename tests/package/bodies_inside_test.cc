// A partition around a legalised one: what its function runs is not the original nodes, and still
// it is what was packed.
#include <catch2/catch.hpp>

#include "authoring/write.h"
#include "base/bytes.h"
#include "crypto/sha256.h"
#include "model/legalize.h"
#include "onnx/onnx_pb.h"
#include "package/small_package.h"
#include "package/state.h"

namespace backendctx::tests {
namespace {

constexpr char kWindow[] = R"(
<ir_version: 10, opset_import: ["" : 25]>
agraph (float[1, 2, 8, 16] q, float[1, 2, 8, 16] k, float[1, 2, 8, 16] v)
    => (float[1, 2, 8, 16] y)
{
  scaled = Neg(q)
  raw = Attention <left_window_size = 3, is_causal = 1> (scaled, k, v)
  y = Neg(raw)
}
)";

manifest::Partition PartitionOf(const model::FlatModel& flat, const std::string& id,
                                const std::vector<std::string>& nodes,
                                const std::vector<std::string>& inputs, const std::string& output) {
  manifest::Partition partition;
  partition.id = id;
  partition.variant = "default";
  partition.function = "Context_" + id;
  partition.nodes = nodes;
  for (const std::string& input : inputs) {
    partition.inputs.emplace_back();
    partition.inputs.back().name = input;
  }
  partition.outputs.emplace_back();
  partition.outputs.back().name = output;
  partition.structure_digest =
      package::PartitionDigest(flat.view(), package::ToEncoded(partition)).value();
  return partition;
}

class AroundBody {
 public:
  AroundBody() {
    WriteModel(kWindow, scratch_ / "model.onnx");
    flat_ = model::FlatModel::Load(scratch_ / "model.onnx", {}).value();
    authoring::Parts parts;
    parts.manifest.producer = "tests";
    auto outer = PartitionOf(*flat_, "outer", {"scaled", "raw", "y"}, {"q", "k", "v"}, "y");
    auto legal = PartitionOf(*flat_, "legal", {"raw"}, {"scaled", "k", "v"}, "raw");
    model::EncodedPartition encoded = package::ToEncoded(legal);
    encoded.legal_body = model::Legalize(*flat_, encoded).value().function;
    legal.body = crypto::Sha256(base::AsBytes(encoded.legal_body));
    legal.body_structure_digest = model::LegalBodyDigest(*flat_, encoded).value();
    parts.bodies[*legal.body] = encoded.legal_body;
    parts.manifest.partitions = {outer, legal};
    const auto assembled = authoring::Assemble(*flat_, std::move(parts), "package", {});
    INFO((assembled ? "" : assembled.status().message()));
    REQUIRE(assembled.has_value());
    REQUIRE(authoring::Commit(*assembled, Path(), false).ok());
  }

  std::string Path() const { return scratch_ / "package.onnx"; }

  onnx::ModelProto Front() const {
    onnx::ModelProto front;
    REQUIRE(front.ParseFromString(os::ReadFile(Path(), 1 << 22).value()));
    return front;
  }
  void Write(const onnx::ModelProto& front) const {
    REQUIRE(os::WriteFile(Path(), front.SerializeAsString(), os::AtomicFile::kReplace).ok());
  }

  // Ids of stale partitions.
  std::vector<std::string> Stale() const {
    std::vector<std::string> stale;
    const Package package = Package::Open(Path(), {}).value();
    for (const Binding& binding : package.bindings()) {
      if (!binding.stale.empty()) stale.push_back(binding.partition);
    }
    return stale;
  }
  Status Verify() const {
    VerifyOptions options;
    options.allow_unsigned = true;
    return Package::Open(Path(), {}).value().Verify(options).first_error;
  }

 private:
  test::Scratch scratch_;
  std::optional<model::FlatModel> flat_;
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a function around a legalised one is what was packed", "[package]") {
  const AroundBody package;
  CHECK(package.Stale().empty());
  CHECK(package.Verify().ok());
  onnx::ModelProto front = package.Front();
  REQUIRE(front.functions_size() == 2);
  CHECK(front.functions(0).name() == "Context_legal");
  CHECK(front.functions(1).node(1).op_type() == "Context_legal");
  front.mutable_functions(1)->mutable_node(0)->set_op_type("Abs");
  package.Write(front);
  CHECK(package.Stale() == Ids{"outer"});
  CHECK(package.Verify().code() == StatusCode::kCorrupt);
}

TEST_CASE("an edited legalised body makes all around it stale", "[package]") {
  const AroundBody package;
  onnx::ModelProto front = package.Front();
  for (onnx::NodeProto& node : *front.mutable_functions(0)->mutable_node()) {
    if (node.op_type() == "Softmax") node.set_op_type("LogSoftmax");
  }
  package.Write(front);
  CHECK(package.Stale() == Ids{"outer", "legal"});
}

TEST_CASE("a legalised body inside another function is compared field by field too", "[package]") {
  const AroundBody package;
  onnx::ModelProto front = package.Front();
  std::string* tag = front.mutable_metadata_props(0)->mutable_value();
  const std::string version = "\"encoder\":2,";
  tag->replace(tag->find(version), version.size(), "\"encoder\":9,");
  package.Write(front);
  const Status status = package.Verify();
  INFO(status.message());
  CHECK(status.ok());
  front.mutable_functions(1)->mutable_node(2)->set_op_type("Abs");
  package.Write(front);
  CHECK(package.Verify().code() == StatusCode::kCorrupt);
}

}  // namespace backendctx::tests
