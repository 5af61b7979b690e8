#include "authoring/write.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/dsse.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "manifest/envelope.h"
#include "manifest/manifest.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

constexpr uint64_t kFrontLimit = (1ull << 31) - 1;

container::Item ItemOf(container::Kind kind, std::string bytes) {
  container::Item item;
  item.kind = kind;
  item.digest = crypto::Sha256(base::AsBytes(bytes));
  item.size = bytes.size();
  item.source = container::FromBytes(std::make_shared<const std::string>(std::move(bytes)));
  return item;
}

manifest::Content ContentOf(manifest::ContentKind kind, const container::Item& item) {
  return {kind, item.digest, item.size};
}

// Graphs, bodies, tensors, blobs, each by digest: the order of manifest and container.
std::vector<container::Item> MakeContents(const model::FlatModel& flat, const std::string& stored,
                                          const Parts& parts, const PackOptions& options,
                                          manifest::Manifest* manifest) {
  std::vector<container::Item> items;
  items.push_back(ItemOf(container::Kind::kGraph, stored));
  manifest->contents.push_back(ContentOf(manifest::ContentKind::kGraph, items.back()));
  for (const auto& [digest, body] : parts.bodies) {
    items.push_back(ItemOf(container::Kind::kBody, body));
    manifest->contents.push_back(ContentOf(manifest::ContentKind::kBody, items.back()));
  }
  for (const model::TensorContent& tensor : flat.tensors()) {
    container::Item item;
    item.kind = container::Kind::kTensor;
    item.digest = tensor.digest;
    item.size = tensor.size;
    item.source = tensor.source;
    manifest->contents.push_back(ContentOf(manifest::ContentKind::kTensor, item));
    items.push_back(std::move(item));
  }
  std::vector<container::Item> blobs;
  for (const std::string& blob : parts.blobs) {
    blobs.push_back(ItemOf(container::Kind::kBlob, blob));
    if (options.compress_blobs) {
      blobs.back().storage = container::Storage::kZstd;
      blobs.back().zstd_level = options.zstd_level;
    }
  }
  std::sort(blobs.begin(), blobs.end(),
            [](const auto& a, const auto& b) { return a.digest < b.digest; });
  for (container::Item& blob : blobs) {
    manifest->contents.push_back(ContentOf(manifest::ContentKind::kBlob, blob));
    items.push_back(std::move(blob));
  }
  return items;
}

// The container that the front at `path` names, or nothing when it is no front of ours.
std::string ContainerOf(const std::string& path) {
  const Result<std::string> bytes = os::ReadFile(path, kFrontLimit);
  if (!bytes) return "";
  const Result<model::DecodedFront> front =
      model::DecodeFront(base::AsBytes(*bytes), model::LoadLimits{});
  return front && front->tag ? front->tag->container : "";
}

std::string StemOf(const std::string& output) {
  const std::string name = os::NameOf(output);
  return name.substr(0, name.size() - std::string_view(".onnx").size());
}

// Fronts of one package share the stem of its name: x.onnx, x.flat.onnx.
bool IsNamedByAnotherFront(const std::string& container, const std::string& output) {
  const std::string folder = os::FolderOf(output), stem = StemOf(output);
  const Result<std::vector<std::string>> names = os::ListFolder(folder);
  if (!names) return true;
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    return name != os::NameOf(output) && name.starts_with(stem) && name.ends_with(".onnx") &&
           ContainerOf(os::Join(folder, name)) == container;
  });
}

// Is there already a complete container of this name? Its head then is the same, and so is the
// rest.
bool IsThere(const std::string& path, const container::Writer& writer) {
  Result<os::File> file = os::File::Open(path);
  if (!file) return false;
  const Result<container::Reader> reader = container::Reader::Open(std::move(*file), {});
  if (!reader || reader->index_digest() != writer.index_digest()) return false;
  const auto& entries = reader->index().entries;
  return reader->CheckGaps().ok() &&
         std::all_of(entries.begin(), entries.end(), [&](const container::Entry& entry) {
           return entry.storage == container::Storage::kAbsent || reader->Check(entry).ok();
         });
}

Status WriteContainer(const Assembled& assembled, const std::string& path) {
  if (IsThere(path, assembled.container)) return OkStatus();
  BCTX_ASSIGN_OR_RETURN(os::AtomicFile file,
                        os::AtomicFile::Create(path, os::AtomicFile::kReplace));
  BCTX_RETURN_IF_ERROR(assembled.container.Write(file.file()));
  return file.Commit();
}

}  // namespace

Result<Assembled> Assemble(const model::FlatModel& flat, Parts parts, const std::string& stem,
                           const PackOptions& options) {
  manifest::Manifest& manifest = parts.manifest;
  const std::string stored = flat.Stored();
  std::vector<container::Item> contents = MakeContents(flat, stored, parts, options, &manifest);
  manifest.variants = {{"default", contents.front().digest, flat.graph_digest()}};
  const std::string manifest_bytes = manifest::Encode(manifest);
  BCTX_RETURN_IF_ERROR(manifest::Parse(base::AsBytes(manifest_bytes), manifest::Limits{}).status());

  std::vector<container::Item> items;
  items.push_back(ItemOf(container::Kind::kManifest, manifest_bytes));
  const Digest manifest_digest = items.front().digest;
  if (options.key != nullptr) {
    crypto::Envelope envelope;
    envelope.payload_type = crypto::kManifestPayloadType;
    BCTX_RETURN_IF_ERROR(crypto::AddSignature(*options.key, manifest_bytes, &envelope));
    items.push_back(ItemOf(container::Kind::kSignatures, manifest::EncodeEnvelope(envelope)));
  }
  std::move(contents.begin(), contents.end(), std::back_inserter(items));
  BCTX_ASSIGN_OR_RETURN(container::Writer writer, container::Writer::Make(std::move(items)));

  model::FrontTag tag;
  tag.container = writer.FileName(stem);
  tag.manifest = manifest_digest;
  std::vector<model::EncodedPartition> partitions;
  for (const manifest::Partition& partition : manifest.partitions) {
    partitions.push_back(package::ToEncoded(partition));
    if (partition.body) partitions.back().legal_body = parts.bodies.at(*partition.body);
  }
  BCTX_ASSIGN_OR_RETURN(std::string front, model::EncodeFront(flat, partitions, tag,
                                                              package::LayoutOf(writer.index())));
  return Assembled{std::move(front), std::move(writer), tag.container};
}

Status CheckOutput(const std::string& input, const std::string& output, bool force) {
  const std::string name = os::NameOf(output);
  if (!name.ends_with(".onnx") || name == ".onnx") {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("output '{}' must be named NAME.onnx", output));
  }
  BCTX_RETURN_IF_ERROR(os::CheckPlainName(name).WithContext("output"));
  const std::string folder = os::FolderOf(output);
  if (!os::IsFolder(folder)) {
    return Status(StatusCode::kIo, fmt::format("{}: no such folder", folder), {.file = folder});
  }
  if (!os::Exists(output)) return OkStatus();
  const Result<std::string> from = os::RealPath(input), to = os::RealPath(output);
  if (from && to && *from == *to) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("output '{}' is the input; an input file is never modified", output));
  }
  if (force) return OkStatus();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: exists already; --force replaces it", output), {.file = output});
}

Status Commit(const Assembled& assembled, const std::string& output, bool force) {
  const std::string folder = os::FolderOf(output);
  const std::string old_container = force ? ContainerOf(output) : "";
  const std::string path = os::Join(folder, assembled.container_name);
  const bool was_there = os::Exists(path);
  BCTX_RETURN_IF_ERROR(WriteContainer(assembled, path));
  const Status front = os::WriteFile(output, assembled.front,
                                     force ? os::AtomicFile::kReplace : os::AtomicFile::kMustBeNew);
  if (!front.ok()) {
    if (!was_there) (void)os::RemoveFile(path);  // a failure leaves nothing behind
    return front;
  }
  if (old_container.empty() || old_container == assembled.container_name) return OkStatus();
  if (!os::CheckPlainName(old_container).ok() || !old_container.ends_with(".bctx") ||
      !old_container.starts_with(StemOf(output) + "-") ||
      IsNamedByAnotherFront(old_container, output)) {
    return OkStatus();
  }
  return os::RemoveFile(os::Join(folder, old_container));
}

}  // namespace backendctx::authoring
