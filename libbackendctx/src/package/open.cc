// Opening: front, container head, manifest, signatures, in this order, each checked against the one
// before. The front names the container by the digest of its head and the manifest by its digest,
// so nothing that is read here can be exchanged without the front saying so.

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "manifest/envelope.h"
#include "manifest/manifest.h"
#include "package/covers.h"
#include "package/lower.h"
#include "package/signatures.h"
#include "package/state.h"

namespace backendctx {
namespace {

constexpr uint64_t kMagicBytes = 8;

Result<bool> IsContainer(const os::File& file) {
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (size < kMagicBytes) return false;
  std::array<uint8_t, kMagicBytes> start;
  BCTX_RETURN_IF_ERROR(file.ReadExact(0, start));
  return container::HasMagic(start);
}

// "STEM-<12 hex>.bctx": the twelve digits are the start of the index digest.
// That of an embedded container has a stem of its own too.
Status CheckName(const std::string& name, const Digest& index_digest, bool is_embedded) {
  const std::string expected = "-" + index_digest.Hex().substr(0, 12) + ".bctx";
  const bool has_stem =
      is_embedded ? name == package::kEmbeddedStem + expected : name.size() > expected.size();
  if (has_stem && name.ends_with(expected)) return OkStatus();
  return Status(StatusCode::kCorrupt,
                fmt::format("{}: the container's head has digest {}..., which is not in its name",
                            name, index_digest.Hex().substr(0, 12)),
                {.file = name,
                 .offset = 0,
                 .field = "head",
                 .found = index_digest.Hex(),
                 .expected = "a head whose digest starts as the name says"});
}

Status ReadManifest(Package::State* state) {
  const container::Reader& reader = *state->reader;
  const auto& entries = reader.index().entries;
  if (entries.empty() || entries.front().kind != container::Kind::kManifest) {
    return Status(StatusCode::kMalformed, "the container's first entry is not a manifest");
  }
  BCTX_ASSIGN_OR_RETURN(state->manifest_bytes, reader.Read(entries.front()));
  state->manifest_digest = entries.front().digest;
  if (state->decoded && state->decoded->tag &&
      state->decoded->tag->manifest != state->manifest_digest) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("the container's manifest is not the one that the front names: found "
                              "digest {}, expected {}",
                              state->manifest_digest.Hex(), state->decoded->tag->manifest.Hex()),
                  {.field = "manifest",
                   .found = state->manifest_digest.Hex(),
                   .expected = state->decoded->tag->manifest.Hex()});
  }
  BCTX_ASSIGN_OR_RETURN(state->manifest,
                        manifest::Parse(base::AsBytes(state->manifest_bytes), manifest::Limits{}));
  return package::CheckContents(state->manifest, reader.index());
}

Status ReadContainer(os::File file, Package::State* state) {
  container::OpenOptions options;
  options.content_bytes = state->options.content_bytes;
  state->container_path = file.path();
  BCTX_ASSIGN_OR_RETURN(state->reader, container::Reader::Open(std::move(file), options));
  if (state->decoded && state->decoded->tag) {
    BCTX_RETURN_IF_ERROR(CheckName(state->decoded->tag->container, state->reader->index_digest(),
                                   state->IsEmbedded()));
  }
  BCTX_RETURN_IF_ERROR(ReadManifest(state));
  BCTX_ASSIGN_OR_RETURN(
      state->trust,
      package::CheckSignatures(*state->reader, state->manifest_bytes, state->options.trusted_keys));
  return OkStatus();
}

// Only a front that holds the container can hold contents for it.
Status CheckInline(const Package::State& state) {
  if (state.IsEmbedded()) return OkStatus();
  for (const container::Entry& entry : state.reader->index().entries) {
    if (entry.storage != container::Storage::kInline) continue;
    return Status(StatusCode::kMalformed,
                  fmt::format("tensor {} is inline, but the container is not embedded in a front",
                              entry.digest.Hex()),
                  {.field = "storage", .found = "inline", .expected = "a content of its own"});
  }
  return OkStatus();
}

bool IsCalledWholly(const Package::State& state) {
  std::set<std::string> called;
  for (const model::Call& call : state.decoded->calls) called.insert(call.partition);
  const auto& partitions = state.manifest.partitions;
  return std::all_of(partitions.begin(), partitions.end(), [&](const auto& partition) {
    return called.contains(partition.id) || partition.variant != state.decoded->tag->variant;
  });
}

// Partitions without a function of their own are looked for among the nodes of the front. Gives the
// reason why they cannot be.
Result<std::string> FindView(Package::State* state) {
  model::DecodedFront& front = *state->decoded;
  if (front.view || IsCalledWholly(*state)) return std::string();
  const auto inlined = front.inlined.status().code() == StatusCode::kNotFound
                           ? model::InlinedFront(base::AsBytes(state->front), model::LoadLimits{})
                           : front.inlined;
  if (inlined) {
    front.view = *inlined;
    return std::string();
  }
  if (inlined.status().code() != StatusCode::kMalformed) return inlined.status();
  return inlined.status().message();
}

// A front that was edited may leave a cycle where the stored graph has none: then its partitions
// are stale. Where the stored graph has one too, the manifest claims what cannot be.
Status JudgeCovers(Package::State* state) {
  if (!state->decoded->view) return OkStatus();  // each partition is one node already
  const std::string& variant = state->decoded->tag->variant;
  std::set<std::string> stale;
  for (const Binding& binding : state->bindings) {
    if (!binding.stale.empty()) stale.insert(binding.partition);
  }
  const Status found = package::CheckCovers(state->manifest, variant, *state->decoded->view, stale);
  if (found.ok()) return OkStatus();
  if (const Result<model::FlatModel> flat = package::OpenGraph(*state, variant)) {
    BCTX_RETURN_IF_ERROR(package::CheckCovers(state->manifest, variant, flat->view()));
  }
  for (Binding& binding : state->bindings) {
    if (binding.stale.empty()) binding.stale = "in the front as it is: " + found.message();
  }
  return OkStatus();
}

// `open`: a file of the front's folder by its name.
using OpenByName = std::function<Result<os::File>(const std::string& name)>;

Status ReadFront(std::string bytes, const OpenByName& open, Package::State* state) {
  BCTX_ASSIGN_OR_RETURN(state->decoded,
                        model::DecodeFront(base::AsBytes(bytes), model::LoadLimits{}));
  if (!state->decoded->tag) {
    if (state->decoded->calls.empty()) return OkStatus();  // a plain model
    return Status(
        StatusCode::kCorrupt,
        "the model calls functions of org.backendctx but its metadata names no container: it was "
        "edited by a tool that drops metadata",
        {.field = model::kFrontProperty, .found = "nothing", .expected = "a front tag"});
  }
  state->front = std::move(bytes);
  Result<os::File> file =
      state->IsEmbedded()
          ? os::FileOfBytes(std::exchange(state->decoded->container, {}), state->front_path)
          : open(state->decoded->tag->container);
  if (!file) return file.status().WithContext("the front's container");
  BCTX_RETURN_IF_ERROR(
      ReadContainer(std::move(file).value(), state).InFile(state->decoded->tag->container));
  BCTX_RETURN_IF_ERROR(CheckInline(*state));
  const std::string& variant = state->decoded->tag->variant;
  if (state->manifest.FindVariant(variant) == nullptr) {
    return Status(
        StatusCode::kMalformed,
        fmt::format("the front is of variant '{}', which the manifest does not name", variant),
        {.field = "variant", .found = variant, .expected = "a variant of the manifest"});
  }
  BCTX_ASSIGN_OR_RETURN(const std::string no_view, FindView(state));
  BCTX_ASSIGN_OR_RETURN(const auto around_bodies, package::DigestsAroundBodies(*state));
  BCTX_ASSIGN_OR_RETURN(state->bindings,
                        package::Bind(state->manifest, *state->decoded, no_view, around_bodies));
  return JudgeCovers(state);
}

Status OpenFront(const std::string& path, Package::State* state) {
  state->front_path = path;
  BCTX_ASSIGN_OR_RETURN(std::string bytes, os::ReadFile(path, state->options.front_bytes));
  const auto beside = [&path](const std::string& name) { return os::OpenBeside(path, name); };
  return ReadFront(std::move(bytes), beside, state);
}

}  // namespace

Result<Package> package::OpenFrontBytes(std::string front, const std::string& folder,
                                        const OpenOptions& options) {
  auto state = std::make_shared<Package::State>();
  state->options = options;
  if (front.size() > options.front_bytes) {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("the front in memory: found {} bytes, expected at most {}",
                              front.size(), options.front_bytes));
  }
  const auto beneath = [&folder](const std::string& name) {
    return os::OpenBeneath(folder.empty() ? "." : folder, name);
  };
  const Status status = ReadFront(std::move(front), beneath, state.get());
  if (!status.ok()) return status.WithContext("the front in memory");
  return Package::State::Share(std::move(state));
}

Result<Package> Package::Open(const std::string& path, const OpenOptions& options) {
  auto state = std::make_shared<State>();
  state->options = options;
  BCTX_ASSIGN_OR_RETURN(os::File file, os::File::Open(path));
  BCTX_ASSIGN_OR_RETURN(const bool is_container, IsContainer(file));
  const Status status =
      is_container ? ReadContainer(std::move(file), state.get()) : OpenFront(path, state.get());
  if (!status.ok()) return status.InFile(path);
  return Package(std::move(state));
}

bool Package::has_container() const { return state_->reader.has_value(); }
const manifest::Manifest& Package::manifest() const { return state_->manifest; }
const Digest& Package::manifest_digest() const { return state_->manifest_digest; }
const Trust& Package::trust() const { return state_->trust; }
const std::string& Package::front_path() const { return state_->front_path; }
const std::string& Package::container_path() const { return state_->container_path; }
const Digest& Package::container_digest() const {
  static const Digest kNone;
  return state_->reader ? state_->reader->index_digest() : kNone;
}
std::string Package::encoding() const {
  if (!state_->decoded || !state_->decoded->tag) return "";
  return state_->decoded->tag->encoding == model::Encoding::kFunction ? "function" : "metadata";
}
bool Package::is_embedded() const { return state_->IsEmbedded(); }
uint64_t Package::container_size() const {
  return state_->reader ? state_->reader->index().file_size : 0;
}
int64_t Package::opset() const { return state_->decoded ? state_->decoded->opset : 0; }
int64_t Package::ir_version() const { return state_->decoded ? state_->decoded->ir_version : 0; }
const std::vector<Binding>& Package::bindings() const { return state_->bindings; }

}  // namespace backendctx
