// Partitions in whose functions a legalised one is called: what such a function runs is not the
// original nodes, so its digest is that of what the encoder makes of the stored contents.

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "package/state.h"

namespace backendctx::package {
namespace {

using manifest::Partition;

bool IsInside(const Partition& inner, const Partition& outer) {
  if (inner.id == outer.id || inner.variant != outer.variant) return false;
  return std::any_of(outer.nodes.begin(), outer.nodes.end(), [&](const std::string& node) {
    if (inner.graph_path == outer.graph_path) return node == inner.nodes.front();
    return inner.graph_path.starts_with(outer.graph_path + "/" + node + ".");
  });
}

bool HoldsBody(const Partition& outer, const manifest::Manifest& manifest) {
  return !outer.body &&
         std::any_of(manifest.partitions.begin(), manifest.partitions.end(),
                     [&](const Partition& inner) { return inner.body && IsInside(inner, outer); });
}

// The front as it would be, tensors anywhere.
Result<model::DecodedFront> EncodedAnew(const Package::State& state, const model::FrontTag& tag) {
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, OpenGraph(state, tag.variant));
  BCTX_ASSIGN_OR_RETURN(
      const std::vector<model::EncodedPartition> partitions,
      FrontPartitions(state.manifest, tag.variant, model::Encoding::kFunction, tag.prefer,
                      flat.view(), [&](const Digest& body) { return ReadBody(state, body); }));
  std::map<Digest, uint64_t> sizes;
  for (const model::TensorContent& tensor : flat.tensors()) sizes[tensor.digest] = tensor.size;
  model::FrontTag plain = tag;
  plain.embedded.clear();
  BCTX_ASSIGN_OR_RETURN(
      const std::string front,
      model::EncodeFront(flat, partitions, plain,
                         [&](const Digest& digest) -> std::optional<model::Placement> {
                           return model::Placement{0, sizes.at(digest)};
                         }));
  return model::DecodeFront(base::AsBytes(front), model::LoadLimits{});
}

}  // namespace

Result<std::map<std::string, Digest>> DigestsAroundBodies(const Package::State& state) {
  std::map<std::string, Digest> digests;
  const model::FrontTag& tag = *state.decoded->tag;
  for (const Partition& partition : state.manifest.partitions) {
    if (partition.variant == tag.variant && HoldsBody(partition, state.manifest)) {
      digests[partition.id] = partition.structure_digest;
    }
  }
  if (digests.empty() || tag.encoding == model::Encoding::kMetadata) return digests;
  BCTX_ASSIGN_OR_RETURN(const model::DecodedFront anew, EncodedAnew(state, tag));
  for (const model::Call& call : anew.calls) {
    const auto at = digests.find(call.partition);
    if (at != digests.end() && call.structure_digest) at->second = *call.structure_digest;
  }
  return digests;
}

}  // namespace backendctx::package
