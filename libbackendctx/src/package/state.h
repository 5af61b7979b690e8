// What an opened package holds. Immutable once Open has returned.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/package.h"
#include "container/container.h"
#include "model/flat_model.h"
#include "model/front.h"
#include "weights/sharing.h"

namespace backendctx {

struct Package::State {
  OpenOptions options;
  std::string front_path, container_path;
  std::string front;                           // its bytes; empty without a container
  std::optional<model::DecodedFront> decoded;  // nothing for a bare container
  std::optional<container::Reader> reader;     // nothing for a plain model
  std::string manifest_bytes;
  manifest::Manifest manifest;
  Digest manifest_digest;
  Trust trust;
  std::vector<Binding> bindings;

  // The tag of the front, or what a bare container's front would say.
  std::string VariantName() const {
    if (decoded && decoded->tag) return decoded->tag->variant;
    return manifest.variants.empty() ? "" : manifest.variants.front().name;
  }
};

namespace package {

// The index's kind of a manifest's content.
container::Kind KindOf(manifest::ContentKind kind);

// The content `digest` in the index, whatever its kind; null when there is none.
const container::Entry* FindContent(const Package::State& state, const Digest& digest);

Result<std::string> ReadContent(const Package::State& state, const Digest& digest);

// The flat graph of a variant, tensors read from the container when they are asked for. The state
// must outlive it.
Result<model::FlatModel> OpenGraph(const Package::State& state, const std::string& variant);

// One binding for each partition of the front's variant; Malformed when a call of ours names a
// partition that the manifest does not have.
Result<std::vector<Binding>> Bind(const manifest::Manifest& manifest,
                                  const model::DecodedFront& front);

// A manifest's partition as the encoder takes it, without a legalised body.
model::EncodedPartition ToEncoded(const manifest::Partition& partition);

// The same with the legalised body that the container holds, where the partition names one.
Result<model::EncodedPartition> WithBody(const Package::State& state,
                                         const manifest::Partition& partition);

// Every tensor of the model that a container would hold, in the order of the graphs.
std::vector<weights::TensorUse> TensorUses(const model::FlatModel& flat);

// The structure digest of a partition, computed from the flat graph.
Result<Digest> PartitionDigest(const model::FlatModel& flat,
                               const model::EncodedPartition& partition);

// Where the encoder finds tensors: raw tensor entries of the index.
model::Layout LayoutOf(const container::Index& index);

// Every content of the manifest is one entry of the index and the other way round.
Status CheckContents(const manifest::Manifest& manifest, const container::Index& index);

}  // namespace package
}  // namespace backendctx
