// Which partitions become functions where some overlap.
#include <catch2/catch.hpp>

#include "package/state.h"

namespace backendctx::package {
namespace {

manifest::Partition PartitionOf(const std::string& id, const std::string& path,
                                const std::vector<std::string>& nodes) {
  manifest::Partition partition;
  partition.id = id;
  partition.variant = "default";
  partition.graph_path = path;
  partition.nodes = nodes;
  return partition;
}

// ab and bc share node b; if holds the If around then; far stands alone.
manifest::Manifest Overlapping() {
  manifest::Manifest manifest;
  manifest.partitions = {PartitionOf("ab", "", {"a", "b"}), PartitionOf("bc", "", {"b", "c"}),
                         PartitionOf("if", "", {"y"}), PartitionOf("then", "/y.then_branch", {"u"}),
                         PartitionOf("far", "", {"z"})};
  for (const auto& [id, partition] : {std::pair{"one", "bc"}, std::pair{"two", "then"}}) {
    manifest::Context context;
    context.id = id;
    context.partition = partition;
    manifest.contexts.push_back(context);
    manifest.scopes.push_back({std::string("scope-") + id, "backend", "default", {id}});
  }
  return manifest;
}

std::vector<std::string> Chosen(const manifest::Manifest& manifest, model::Encoding encoding,
                                const std::vector<std::string>& prefer) {
  const auto partitions = FrontPartitions(manifest, "default", encoding, prefer, [](const Digest&) {
    return Result<std::string>(Status(StatusCode::kNotFound, "no body"));
  });
  REQUIRE(partitions.has_value());
  std::vector<std::string> ids;
  for (const model::EncodedPartition& partition : *partitions) ids.push_back(partition.id);
  return ids;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("functions carry disjoint partitions, the first of the manifest or of a preferred scope",
          "[package][encode]") {
  const manifest::Manifest manifest = Overlapping();
  const auto function = model::Encoding::kFunction;
  CHECK(Chosen(manifest, function, {}) == Ids{"ab", "if", "far"});
  CHECK(Chosen(manifest, function, {"scope-one"}) == Ids{"bc", "if", "far"});
  CHECK(Chosen(manifest, function, {"scope-two"}) == Ids{"ab", "then", "far"});
  CHECK(Chosen(manifest, function, {"scope-two", "scope-one"}) == Ids{"bc", "then", "far"});
  CHECK(FrontPartitions(manifest, "default", function, {"nobody"}, nullptr).status().code() ==
        StatusCode::kNotFound);
}

TEST_CASE("the flat graph carries every partition of its variant", "[package][encode]") {
  manifest::Manifest manifest = Overlapping();
  manifest.partitions.back().variant = "other";
  CHECK(Chosen(manifest, model::Encoding::kMetadata, {}) == Ids{"ab", "bc", "if", "then"});
}

TEST_CASE("a body that the package does not have is an error for functions alone",
          "[package][encode]") {
  manifest::Manifest manifest = Overlapping();
  manifest.partitions[0].body = Digest{};
  CHECK(Chosen(manifest, model::Encoding::kMetadata, {}).size() == 5);
  CHECK_FALSE(
      FrontPartitions(manifest, "default", model::Encoding::kFunction, {}, [](const Digest&) {
        return Result<std::string>(Status(StatusCode::kMalformed, "no body"));
      }).has_value());
}

}  // namespace backendctx::package
