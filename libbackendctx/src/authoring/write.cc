#include "authoring/write.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/dsse.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "manifest/envelope.h"
#include "manifest/manifest.h"
#include "package/covers.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

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
                                          const Parts& parts, manifest::Manifest* manifest) {
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
  }
  std::sort(blobs.begin(), blobs.end(),
            [](const auto& a, const auto& b) { return a.digest < b.digest; });
  for (container::Item& blob : blobs) {
    manifest->contents.push_back(ContentOf(manifest::ContentKind::kBlob, blob));
    items.push_back(std::move(blob));
  }
  return items;
}

using Partitions = std::vector<model::EncodedPartition>;

// One front to be written.
struct FrontDraft {
  std::string name;
  model::Encoding encoding = model::Encoding::kFunction;
  Partitions partitions;
  model::FrontPlan plan;
};

Result<std::string> BodyAmong(const std::vector<container::Item>& items, const Digest& digest) {
  for (const container::Item& item : items) {
    if (item.kind != container::Kind::kBody || item.digest != digest || !item.source) continue;
    std::string bytes;
    BCTX_RETURN_IF_ERROR(item.source([&bytes](std::span<const uint8_t> piece) {
      bytes += base::AsText(piece);
      return OkStatus();
    }));
    return bytes;
  }
  return Status(StatusCode::kMalformed, fmt::format("the package has no body {}", digest.Hex()));
}

Result<std::vector<FrontDraft>> DraftFronts(const model::FlatModel& flat,
                                            const manifest::Manifest& manifest,
                                            const std::vector<container::Item>& items,
                                            const std::string& stem, const Form& form) {
  const auto bodies = [&items](const Digest& digest) { return BodyAmong(items, digest); };
  std::vector<FrontDraft> drafts;
  for (const std::string& name : FrontPaths(stem + ".onnx", form.encoding)) {
    FrontDraft draft;
    draft.name = name;
    const bool is_flat = form.encoding == FrontEncoding::kMetadata || !drafts.empty();
    draft.encoding = is_flat ? model::Encoding::kMetadata : model::Encoding::kFunction;
    BCTX_ASSIGN_OR_RETURN(draft.partitions, package::FrontPartitions(
                                                manifest, form.variant, draft.encoding,
                                                is_flat ? std::vector<std::string>() : form.prefer,
                                                flat.view(), bodies));
    BCTX_ASSIGN_OR_RETURN(draft.plan, model::PlanFront(flat, draft.partitions, draft.encoding));
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

void MakeRaw(container::Item* item) {
  item->storage = container::Storage::kRaw;
  item->detail.clear();
  item->stored = nullptr;
}

void Compress(const Compression& compression, container::Item* item) {
  MakeRaw(item);
  if (!compression.zstd) return;
  item->storage = container::Storage::kZstd;
  item->zstd_level = compression.level;
}

// How each content is stored: what a front maps as it is, what an embedding front has not at all,
// and the rest as compression says.
void StoreContents(const std::vector<FrontDraft>& drafts, const Form& form,
                   std::vector<container::Item>* items) {
  std::map<Digest, std::string> inside;  // tensor -> its first initializer
  std::set<Digest> mapped;
  for (const FrontDraft& draft : drafts) {
    for (const model::FrontTensor& tensor : draft.plan.tensors) {
      // An index can only name what is clean text; what is not is held twice.
      if (form.embed && !tensor.name.empty() && base::IsCleanText(tensor.name)) {
        inside.emplace(tensor.digest, tensor.name);
      }
      if (!form.embed && tensor.is_mapped) mapped.insert(tensor.digest);
    }
  }
  for (container::Item& item : *items) {
    const bool is_tensor = item.kind == container::Kind::kTensor;
    if (item.storage == container::Storage::kAbsent ||
        (!is_tensor && item.kind != container::Kind::kBlob)) {
      continue;
    }
    const auto initializer = is_tensor ? inside.find(item.digest) : inside.end();
    if (initializer != inside.end()) {
      MakeRaw(&item);
      item.storage = container::Storage::kInline;
      item.detail = initializer->second;
    } else if (is_tensor && mapped.contains(item.digest)) {
      MakeRaw(&item);
    } else if (form.compression) {
      Compress(*form.compression, &item);
    } else if (item.storage == container::Storage::kInline) {
      MakeRaw(&item);
    }
  }
}

}  // namespace

const char kProducer[] = "backendctx " BACKENDCTX_VERSION;

uint64_t Assembled::FrontBytes() const {
  uint64_t bytes = 0;
  for (const FrontFile& front : fronts) bytes += front.bytes.size();
  return bytes;
}

Result<Assembled> Assemble(const model::FlatModel& flat, Parts parts, const std::string& stem,
                           const PackOptions& options) {
  manifest::Manifest& manifest = parts.manifest;
  const std::string stored = flat.Stored();
  std::vector<container::Item> contents = MakeContents(flat, stored, parts, &manifest);
  manifest.variants = {{"default", contents.front().digest, flat.graph_digest()}};
  const std::string manifest_bytes = manifest::Encode(manifest);
  BCTX_RETURN_IF_ERROR(manifest::Parse(base::AsBytes(manifest_bytes), manifest::Limits{}).status());

  std::vector<container::Item> items;
  items.push_back(ItemOf(container::Kind::kManifest, manifest_bytes));
  if (options.key != nullptr) {
    crypto::Envelope envelope;
    envelope.payload_type = crypto::kManifestPayloadType;
    BCTX_RETURN_IF_ERROR(crypto::AddSignature(*options.key, manifest_bytes, &envelope));
    items.push_back(ItemOf(container::Kind::kSignatures, manifest::EncodeEnvelope(envelope)));
  }
  std::move(contents.begin(), contents.end(), std::back_inserter(items));
  const Form form{.encoding = options.encoding,
                  .embed = options.embed,
                  .compression = options.compression,
                  .prefer = {},
                  .variant = "default"};
  return Assemble(flat, manifest, std::move(items), stem, form);
}

Status CheckForm(FrontEncoding encoding, bool embed) {
  if (!embed || encoding == FrontEncoding::kFunction) return OkStatus();
  return Status(StatusCode::kInvalidArgument,
                "only a front in the function encoding can hold its container: found another "
                "encoding together with embed");
}

Result<Assembled> Assemble(const model::FlatModel& flat, const manifest::Manifest& manifest,
                           std::vector<container::Item> items, const std::string& stem,
                           const Form& form) {
  BCTX_RETURN_IF_ERROR(CheckForm(form.encoding, form.embed));
  BCTX_RETURN_IF_ERROR(package::CheckCovers(manifest, form.variant, flat.view()));
  BCTX_ASSIGN_OR_RETURN(std::vector<FrontDraft> drafts,
                        DraftFronts(flat, manifest, items, stem, form));
  StoreContents(drafts, form, &items);
  model::FrontTag tag;
  tag.manifest = items.front().digest;
  tag.variant = form.variant;
  BCTX_ASSIGN_OR_RETURN(container::Writer writer, container::Writer::Make(std::move(items)));
  tag.container = writer.FileName(form.embed ? package::kEmbeddedStem : stem);
  std::string embedded;
  if (form.embed) {
    tag.embedded = drafts.front().plan.container_name;
    BCTX_ASSIGN_OR_RETURN(embedded, writer.ToBytes());
  }
  std::vector<FrontFile> fronts;
  for (FrontDraft& draft : drafts) {
    tag.encoding = draft.encoding;
    tag.prefer =
        draft.encoding == model::Encoding::kFunction ? form.prefer : std::vector<std::string>();
    BCTX_ASSIGN_OR_RETURN(std::string bytes, model::EncodeFront(flat, draft.partitions, tag,
                                                                package::LayoutOf(writer.index()),
                                                                form.embed ? &embedded : nullptr));
    fronts.push_back({draft.name, std::move(bytes)});
  }
  return Assembled{std::move(fronts), std::move(writer), form.embed ? "" : tag.container};
}

}  // namespace backendctx::authoring
