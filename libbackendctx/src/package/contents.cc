// Contents: what the manifest names and the index holds.

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "model/structure.h"
#include "package/state.h"
#include "weights/sharing.h"

namespace backendctx {
namespace package {

container::Kind KindOf(manifest::ContentKind kind) {
  switch (kind) {
    case manifest::ContentKind::kGraph:
      return container::Kind::kGraph;
    case manifest::ContentKind::kBody:
      return container::Kind::kBody;
    case manifest::ContentKind::kTensor:
      return container::Kind::kTensor;
    case manifest::ContentKind::kBlob:
      return container::Kind::kBlob;
  }
  return container::Kind::kTensor;
}

const container::Entry* FindContent(const Package::State& state, const Digest& digest) {
  if (!state.reader) return nullptr;
  for (const container::Kind kind : {container::Kind::kTensor, container::Kind::kBlob,
                                     container::Kind::kGraph, container::Kind::kBody}) {
    if (const container::Entry* entry = state.reader->Find(kind, digest)) return entry;
  }
  return nullptr;
}

Result<std::string> ReadContent(const Package::State& state, const Digest& digest) {
  const container::Entry* entry = FindContent(state, digest);
  if (entry == nullptr) {
    return Status(StatusCode::kNotFound, fmt::format("no content has digest {}", digest.Hex()));
  }
  Result<std::string> bytes = ReadEntry(state, *entry);
  if (!bytes) return bytes.status().InFile(state.container_path);
  return bytes;
}

Result<std::string> ReadEntry(const Package::State& state, const container::Entry& entry) {
  if (entry.storage != container::Storage::kInline) return state.reader->Read(entry);
  if (!state.IsEmbedded()) {
    return Status(
        StatusCode::kNotFound,
        fmt::format("tensor {}: is held by the front, as initializer '{}': open the front",
                    entry.digest.Hex(), entry.detail));
  }
  std::call_once(state.parsed, [&state] {
    state.initializers =
        model::FrontInitializers::Parse(base::AsBytes(state.front), model::LoadLimits{});
  });
  BCTX_RETURN_IF_ERROR(state.initializers->status());
  Result<std::string> read = (*state.initializers)->Read(entry.detail);
  if (!read)
    return Status(StatusCode::kMalformed, read.status().message(), {.field = entry.detail});
  std::string bytes = std::move(read).value();
  const Digest found = crypto::Sha256(base::AsBytes(bytes));
  if (found == entry.digest && bytes.size() == entry.size) return bytes;
  return Status(StatusCode::kCorrupt,
                fmt::format("initializer '{}': found digest {}, expected {}", entry.detail,
                            found.Hex(), entry.digest.Hex()),
                {.field = entry.detail, .found = found.Hex(), .expected = entry.digest.Hex()});
}

namespace {

Status StreamContent(const Package::State& state, const Digest& digest,
                     const model::BytesSink& sink) {
  const container::Entry* entry = FindContent(state, digest);
  if (entry != nullptr && entry->storage != container::Storage::kInline) {
    return state.reader->Stream(*entry, sink).InFile(state.container_path);
  }
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, ReadContent(state, digest));
  return sink(base::AsBytes(bytes));
}

}  // namespace

Result<model::FlatModel> OpenGraph(const Package::State& state, const std::string& name) {
  const manifest::Variant* variant = state.manifest.FindVariant(name);
  if (variant == nullptr) {
    return Status(StatusCode::kNotFound, fmt::format("the package has no variant '{}'", name));
  }
  BCTX_ASSIGN_OR_RETURN(const std::string stored, ReadContent(state, variant->graph));
  const Package::State* raw = &state;
  return model::FlatModel::Parse(
      base::AsBytes(stored),
      [raw](const Digest& digest, const model::BytesSink& sink) {
        return StreamContent(*raw, digest, sink);
      },
      model::LoadLimits{});
}

model::EncodedPartition ToEncoded(const manifest::Partition& partition) {
  model::EncodedPartition encoded;
  encoded.id = partition.id;
  encoded.graph_path = partition.graph_path;
  encoded.function = partition.function;
  encoded.nodes = partition.nodes;
  encoded.structure_digest = partition.structure_digest;
  for (const manifest::BoundaryValue& input : partition.inputs) {
    switch (input.role) {
      case manifest::ValueRole::kActivation:
        encoded.activations.push_back(input.name);
        break;
      case manifest::ValueRole::kWeight:
        encoded.weights.push_back(input.name);
        break;
      case manifest::ValueRole::kConstant:
        encoded.constants.push_back(input.name);
        break;
    }
  }
  for (const manifest::BoundaryValue& output : partition.outputs) {
    encoded.outputs.push_back(output.name);
  }
  return encoded;
}

Result<model::EncodedPartition> WithBody(const Package::State& state,
                                         const manifest::Partition& partition) {
  model::EncodedPartition encoded = ToEncoded(partition);
  if (!partition.body) return encoded;
  Result<std::string> body = ReadBody(state, *partition.body);
  if (!body) return body.status().WithContext("partition " + partition.id);
  encoded.legal_body = std::move(*body);
  return encoded;
}

Result<std::string> ReadBody(const Package::State& state, const Digest& digest) {
  const container::Entry* entry = state.reader->Find(container::Kind::kBody, digest);
  if (entry == nullptr) {
    return Status(StatusCode::kMalformed,
                  fmt::format("the container has no body {}", digest.Hex()));
  }
  Result<std::string> body = state.reader->Read(*entry);
  if (!body) return body.status().InFile(state.container_path);
  return body;
}

Result<Digest> PartitionDigest(const model::ModelView& flat,
                               const model::EncodedPartition& partition) {
  // Nearly all are of the main graph: no walk over the others for each.
  std::vector<const model::GraphView*> graphs = {&flat.graph};
  if (!partition.graph_path.empty()) graphs = model::AllGraphs(flat);
  for (const model::GraphView* graph : graphs) {
    if (graph->path != partition.graph_path) continue;
    model::Region region;
    region.activations = partition.activations;
    region.outputs = partition.outputs;
    region.weights = partition.weights;
    region.constants = partition.constants;
    for (const std::string& key : partition.nodes) {
      const auto producer = graph->producer.find(key);
      if (producer == graph->producer.end()) {
        return Status(StatusCode::kMalformed, fmt::format("the graph has no node '{}'", key),
                      {.field = key});
      }
      region.nodes.push_back(producer->second);
    }
    std::sort(region.nodes.begin(), region.nodes.end());
    return model::StructureDigest(flat, *graph, region);
  }
  return Status(StatusCode::kMalformed,
                fmt::format("the model has no graph '{}'", partition.graph_path),
                {.field = "graph_path", .found = partition.graph_path});
}

namespace {

void AddUse(const model::TensorInfo& tensor, std::vector<weights::TensorUse>* uses) {
  if (tensor.size < model::kInlineLimit) return;
  weights::TensorUse use;
  std::copy_n(tensor.digest.begin(), use.digest.bytes.size(), use.digest.bytes.begin());
  use.size = tensor.size;
  uses->push_back(use);
}

}  // namespace

std::vector<weights::TensorUse> TensorUses(const model::FlatModel& flat) {
  std::vector<weights::TensorUse> uses;
  for (const model::GraphView* graph : model::AllGraphs(flat.view())) {
    for (const std::string& name : graph->initializer_order) {
      AddUse(graph->initializers.at(name), &uses);
    }
    for (const model::Node& node : graph->nodes) {
      for (const model::Attribute& attribute : node.attributes) {
        if (attribute.tensor) AddUse(*attribute.tensor, &uses);
      }
    }
  }
  return uses;
}

model::Layout LayoutOf(const container::Index& index) {
  auto places = std::make_shared<std::map<Digest, model::Placement>>();
  for (const container::Entry& entry : index.entries) {
    if (entry.kind == container::Kind::kTensor && entry.storage == container::Storage::kRaw) {
      (*places)[entry.digest] = {entry.offset, entry.size};
    }
  }
  return [places](const Digest& digest) -> std::optional<model::Placement> {
    const auto place = places->find(digest);
    if (place == places->end()) return std::nullopt;
    return place->second;
  };
}

Status CheckContents(const manifest::Manifest& manifest, const container::Index& index) {
  std::map<std::pair<container::Kind, Digest>, uint64_t> named;
  for (const manifest::Content& content : manifest.contents) {
    named[{KindOf(content.kind), content.digest}] = content.size;
  }
  size_t matched = 0;
  for (const container::Entry& entry : index.entries) {
    if (entry.kind == container::Kind::kManifest || entry.kind == container::Kind::kSignatures) {
      continue;
    }
    const auto content = named.find({entry.kind, entry.digest});
    if (content == named.end() || content->second != entry.size) {
      return Status(
          StatusCode::kMalformed,
          fmt::format("the index has a {} of digest {} and {} bytes, which the manifest does "
                      "not name",
                      container::KindName(entry.kind), entry.digest.Hex(), entry.size),
          {.offset = entry.offset,
           .field = "index",
           .found = entry.digest.Hex(),
           .expected = "a content of the manifest"});
    }
    ++matched;
  }
  if (matched == named.size()) return OkStatus();
  return Status(
      StatusCode::kMalformed,
      fmt::format("the index holds {} contents, the manifest names {}", matched, named.size()),
      {.field = "index",
       .found = std::to_string(matched),
       .expected = std::to_string(named.size())});
}

}  // namespace package

std::vector<StoredContent> Package::contents() const {
  std::vector<StoredContent> contents;
  if (!state_->reader) return contents;
  for (const container::Entry& entry : state_->reader->index().entries) {
    contents.push_back({container::KindName(entry.kind), container::StorageName(entry.storage),
                        entry.digest, entry.offset, entry.stored_size, entry.size});
  }
  return contents;
}

Result<WeightsSummary> Package::Weights(const std::string& variant) const {
  if (!has_container()) return WeightsSummary{};
  BCTX_ASSIGN_OR_RETURN(
      const model::FlatModel flat,
      package::OpenGraph(*state_, variant.empty() ? state_->VariantName() : variant));
  return weights::ShareEqual(package::TensorUses(flat)).summary;
}

Result<std::string> Package::ReadContent(const Digest& digest) const {
  return package::ReadContent(*state_, digest);
}

Result<std::string> Package::ContextBytes(const std::string& id) const {
  const manifest::Context* context = state_->manifest.FindContext(id);
  if (context == nullptr) {
    return Status(StatusCode::kNotFound, fmt::format("the package has no context '{}'", id));
  }
  return package::ReadContent(*state_, context->blob);
}

Status Package::Restore(const std::string& output, const std::string& variant, bool force) const {
  if (!has_container()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: a plain model has nothing to restore", state_->front_path));
  }
  for (const std::string& input : {state_->front_path, state_->container_path}) {
    const Result<os::File> from = os::File::Open(input), to = os::File::Open(output);
    if (!from || !to) continue;
    BCTX_ASSIGN_OR_RETURN(const os::FileIdentity one, from->Identity());
    BCTX_ASSIGN_OR_RETURN(const os::FileIdentity other, to->Identity());
    if (one.SameFile(other)) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("output '{}' is a part of the package; an input file is never modified",
                      output),
          {.file = output});
    }
  }
  if (!force && os::Exists(output)) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: exists already; --force replaces it", output), {.file = output});
  }
  BCTX_ASSIGN_OR_RETURN(
      const model::FlatModel flat,
      package::OpenGraph(*state_, variant.empty() ? state_->VariantName() : variant));
  return flat.WriteModel(output, force);
}

}  // namespace backendctx
