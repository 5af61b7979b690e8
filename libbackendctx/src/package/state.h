// What an opened package holds. Immutable once Open has returned.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backendctx/package.h"
#include "container/container.h"
#include "model/flat_model.h"
#include "model/front.h"
#include "weights/sharing.h"

namespace backendctx {

struct Package::State {
  static Package Share(std::shared_ptr<const State> state) { return Package(std::move(state)); }

  OpenOptions options;
  std::string front_path, container_path;
  std::string front;  // its bytes; empty without a container
  // Nothing for a bare container. It has a view whenever partitions are not called.
  std::optional<model::DecodedFront> decoded;
  std::optional<container::Reader> reader;  // nothing for a plain model
  std::string manifest_bytes;
  manifest::Manifest manifest;
  Digest manifest_digest;
  Trust trust;
  std::vector<Binding> bindings;
  // Of an embedded container, whose inline contents they are; parsed when first asked for.
  mutable std::once_flag parsed;
  mutable std::optional<Result<model::FrontInitializers>> initializers;

  bool IsEmbedded() const { return decoded && decoded->tag && !decoded->tag->embedded.empty(); }

  // The tag of the front, or what a bare container's front would say.
  std::string VariantName() const {
    if (decoded && decoded->tag) return decoded->tag->variant;
    return manifest.variants.empty() ? "" : manifest.variants.front().name;
  }
};

namespace package {

// Stem of the name of a container that is in no file of its own: the same wherever the front goes.
inline constexpr char kEmbeddedStem[] = "embedded";

// The index's kind of a manifest's content.
container::Kind KindOf(manifest::ContentKind kind);

// The content `digest` in the index, whatever its kind; null when there is none.
const container::Entry* FindContent(const Package::State& state, const Digest& digest);

Result<std::string> ReadContent(const Package::State& state, const Digest& digest);
// The decoded bytes of an entry, wherever they are; compared with its digest.
Result<std::string> ReadEntry(const Package::State& state, const container::Entry& entry);

// The flat graph of a variant, tensors read from the container when they are asked for. The state
// must outlive it.
Result<model::FlatModel> OpenGraph(const Package::State& state, const std::string& variant);

// One binding for each partition: by its calls, or, in the metadata encoding and where the front
// has no call of it, by its nodes in the front's view; `no_view` says why there is none.
// `around_bodies`: see DigestsAroundBodies. Malformed when a call of ours names a partition that
// the manifest does not have.
Result<std::vector<Binding>> Bind(const manifest::Manifest& manifest,
                                  const model::DecodedFront& front, const std::string& no_view,
                                  const std::map<std::string, Digest>& around_bodies = {});

// For each partition of the front's variant in which a legalised one lies: the structure digest of
// what its function runs when nothing was edited.
Result<std::map<std::string, Digest>> DigestsAroundBodies(const Package::State& state);

// A manifest's partition as the encoder takes it, without a legalised body.
model::EncodedPartition ToEncoded(const manifest::Partition& partition);

// The same with the legalised body that the container holds, where the partition names one.
Result<model::EncodedPartition> WithBody(const Package::State& state,
                                         const manifest::Partition& partition);

// A body of the package by its digest.
Result<std::string> ReadBody(const Package::State& state, const Digest& digest);
using BodyLookup = std::function<Result<std::string>(const Digest&)>;

// Which partitions of a variant become functions: numbers in the manifest, and why the others do
// not.
struct FrontChoice {
  std::set<size_t> functions;
  std::map<std::string, std::string> left_out;  // id -> reason
};

// Legalised ones come first, then those of the preferred scopes, then those that the manifest has
// first; each that fits those before it (scope/nesting.h). `view`: of the stored graph. NotFound: a
// scope that the manifest does not have. Malformed: a node that the graph does not have.
Result<FrontChoice> ChooseFunctions(const manifest::Manifest& manifest, const std::string& variant,
                                    const std::vector<std::string>& prefer,
                                    const model::ModelView& view);

// The partitions of a variant that a front of this encoding carries, in the manifest's order, those
// of ChooseFunctions with their legalised bodies.
Result<std::vector<model::EncodedPartition>> FrontPartitions(
    const manifest::Manifest& manifest, const std::string& variant, model::Encoding encoding,
    const std::vector<std::string>& prefer, const model::ModelView& view, const BodyLookup& bodies);

// Every tensor of the model that a container would hold, in the order of the graphs.
std::vector<weights::TensorUse> TensorUses(const model::FlatModel& flat);

// The structure digest of a partition, computed from the flat graph.
Result<Digest> PartitionDigest(const model::ModelView& flat,
                               const model::EncodedPartition& partition);

// Where the encoder finds tensors: raw tensor entries of the index.
model::Layout LayoutOf(const container::Index& index);

// Every content of the manifest is one entry of the index and the other way round.
Status CheckContents(const manifest::Manifest& manifest, const container::Index& index);

}  // namespace package
}  // namespace backendctx
