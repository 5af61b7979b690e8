// Random models with random covers of three backends: what is no cover is refused with the path
// that makes it none; what is one comes through both encodings, nested functions and back.
// BCTX_RANDOM_SEED=N runs the one model of seed N.
#include "random_models/covers.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <set>

#include "authoring/write.h"
#include "backendctx/encode.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "container/container.h"
#include "crypto/sha256.h"
#include "manifest/manifest.h"
#include "model/compare_front.h"
#include "package/covers.h"
#include "package/state.h"
#include "random_models/generate.h"
#include "random_models/random.h"
#include "support/scratch.h"

namespace backendctx::tests {
namespace {

struct Tally {
  size_t legal = 0, illegal = 0, partitions = 0, shared = 0, nested = 0, in_branches = 0;
  size_t crossing = 0, cyclic = 0, packages = 0, illegal_packages = 0, refused_at_once = 0;
};

Status WrongCover(const std::string& text) { return Status(StatusCode::kInternal, text); }

std::string Cut(const std::string& text) { return text.substr(0, 200); }

class Trial {
 public:
  Trial(uint64_t seed, Tally* seen) : seed_(seed), random_(seed * 77), seen_(*seen) {}

  Status Run() {
    BCTX_RETURN_IF_ERROR(Load());
    const bool careful = seed_ % 3 != 0;
    manifest_ = RandomCovers(*flat_, seed_, careful);
    const Status covers = package::CheckCovers(manifest_, "default", flat_->view());
    for (const manifest::Scope& scope : manifest_.scopes) {
      const std::string why = WhyNoCover(manifest_, scope, flat_->view());
      if (why.empty()) continue;
      return Refused(covers, scope, why);
    }
    if (!covers.ok()) return WrongCover("a legal cover was refused: " + covers.message());
    ++seen_.legal;
    seen_.partitions += manifest_.partitions.size();
    seen_.shared += manifest_.contexts.size() - manifest_.partitions.size();
    BCTX_RETURN_IF_ERROR(Function());
    BCTX_RETURN_IF_ERROR(Metadata());
    return seed_ % 40 == 1 ? WholePackage() : OkStatus();
  }

 private:
  Status Load() {
    const RandomModel made = GenerateModel(seed_);
    BCTX_RETURN_IF_ERROR(os::WriteFile(scratch_ / "model.onnx", made.model.SerializeAsString(),
                                       os::AtomicFile::kMustBeNew));
    for (const auto& [name, bytes] : made.files) {
      BCTX_RETURN_IF_ERROR(os::WriteFile(scratch_ / name, bytes, os::AtomicFile::kMustBeNew));
    }
    BCTX_ASSIGN_OR_RETURN(flat_, model::FlatModel::Load(scratch_ / "model.onnx", {}));
    uint64_t end = 4096;
    for (const model::TensorContent& tensor : flat_->tensors()) {
      places_[tensor.digest] = {end, tensor.size};
      end += tensor.size;
    }
    return OkStatus();
  }

  Status Refused(const Status& covers, const manifest::Scope& scope, const std::string& why) {
    ++seen_.illegal;
    if (covers.code() != StatusCode::kMalformed)
      return WrongCover("an illegal cover was taken: " + why);
    const std::string head = "scope \"" + scope.name + "\": ";
    if (covers.message().rfind(head, 0) != 0) {
      return WrongCover("another scope was refused: " + covers.message());
    }
    if (!IsReason(covers.message().substr(head.size()), manifest_, scope, flat_->view())) {
      return WrongCover("what is named is not what is wrong: " + covers.message());
    }
    return seen_.illegal % 8 == 1 ? IllegalPackage() : OkStatus();
  }

  // A package that somebody else has written around the manifest: malformed when it is opened, or,
  // where a partition is no partition at all, when it is verified.
  Status IllegalPackage() {
    ++seen_.illegal_packages;
    const std::string stored = flat_->Stored();
    std::vector<container::Item> items;
    const auto add = [&](container::Kind kind, manifest::ContentKind content, std::string bytes) {
      container::Item item;
      item.kind = kind;
      item.digest = crypto::Sha256(base::AsBytes(bytes));
      item.size = bytes.size();
      item.source = container::FromBytes(std::make_shared<const std::string>(std::move(bytes)));
      manifest_.contents.push_back({content, item.digest, item.size});
      items.push_back(std::move(item));
    };
    add(container::Kind::kGraph, manifest::ContentKind::kGraph, stored);
    manifest_.variants = {{"default", items.front().digest, flat_->graph_digest()}};
    for (const model::TensorContent& tensor : flat_->tensors()) {
      container::Item item;
      item.kind = container::Kind::kTensor;
      item.digest = tensor.digest;
      item.size = tensor.size;
      item.source = tensor.source;
      manifest_.contents.push_back({manifest::ContentKind::kTensor, item.digest, item.size});
      items.push_back(std::move(item));
    }
    add(container::Kind::kBlob, manifest::ContentKind::kBlob, "a blob");
    for (manifest::Context& context : manifest_.contexts) {
      context.blob = items.back().digest;
      context.compiler_version = "1";
    }
    container::Item head;
    const std::string bytes = manifest::Encode(manifest_);
    head.kind = container::Kind::kManifest;
    head.digest = crypto::Sha256(base::AsBytes(bytes));
    head.size = bytes.size();
    head.source = container::FromBytes(std::make_shared<const std::string>(bytes));
    items.insert(items.begin(), std::move(head));
    model::FrontTag tag = Tag(model::Encoding::kMetadata);
    tag.manifest = items.front().digest;
    BCTX_ASSIGN_OR_RETURN(const container::Writer writer,
                          container::Writer::Make(std::move(items)));
    tag.container = writer.FileName("illegal");
    BCTX_ASSIGN_OR_RETURN(const std::string container, writer.ToBytes());
    BCTX_ASSIGN_OR_RETURN(const std::string front,
                          model::EncodeFront(*flat_, {}, tag, package::LayoutOf(writer.index())));
    BCTX_RETURN_IF_ERROR(
        os::WriteFile(scratch_ / tag.container, container, os::AtomicFile::kMustBeNew));
    BCTX_RETURN_IF_ERROR(
        os::WriteFile(scratch_ / "illegal.onnx", front, os::AtomicFile::kMustBeNew));
    const Result<Package> package = Package::Open(scratch_ / "illegal.onnx", {});
    Status found = package.status();
    if (found.ok()) {
      VerifyOptions verify;
      verify.allow_unsigned = true;
      found = package->Verify(verify).first_error;
    } else {
      ++seen_.refused_at_once;
    }
    const bool is_refused = found.code() == StatusCode::kMalformed ||
                            found.code() == StatusCode::kUnimplemented;  // what has no digest
    if (is_refused) return OkStatus();
    return WrongCover("an illegal manifest was opened and verified: " + found.message());
  }

  model::Layout Layout() const {
    return [this](const Digest& digest) -> std::optional<model::Placement> {
      const auto found = places_.find(digest);
      if (found == places_.end()) return std::nullopt;
      return found->second;
    };
  }

  model::FrontTag Tag(model::Encoding encoding, uint32_t encoder = model::kEncoderVersion) const {
    model::FrontTag tag;
    tag.container = "m-0123456789ab.bctx";
    tag.encoding = encoding;
    tag.encoder = encoder;
    tag.prefer = prefer_;
    return tag;
  }

  // The front of the model as it is, and of the model as it comes out of the container.
  Result<std::string> Encode(const std::vector<model::EncodedPartition>& partitions,
                             model::Encoding encoding) const {
    BCTX_ASSIGN_OR_RETURN(const std::string front,
                          model::EncodeFront(*flat_, partitions, Tag(encoding), Layout()));
    const std::string stored = flat_->Stored();
    BCTX_ASSIGN_OR_RETURN(const model::FlatModel again,
                          model::FlatModel::Parse(base::AsBytes(stored),
                                                  [](const Digest&, const model::BytesSink&) {
                                                    return Status(StatusCode::kNotFound, "none");
                                                  },
                                                  {}));
    if (again.graph_digest() != flat_->graph_digest()) return WrongCover("another graph digest");
    const auto second = model::EncodeFront(again, partitions, Tag(encoding), Layout());
    // Strings and what else stays inside has no bytes there.
    if (second && *second != front) return WrongCover("another front from the stored graph");
    return front;
  }

  Status Compare(const std::vector<model::EncodedPartition>& partitions,
                 model::Encoding encoding) const {
    const model::FrontTag tag = Tag(encoding, 99);
    BCTX_ASSIGN_OR_RETURN(const std::string front,
                          model::EncodeFront(*flat_, partitions, tag, Layout()));
    std::set<std::string> ids;
    for (const auto& partition : partitions) ids.insert(partition.id);
    return model::CompareFront(*flat_, base::AsBytes(front), tag, ids,
                               [this](const model::Placement& place) -> std::optional<Digest> {
                                 for (const auto& [digest, at] : places_) {
                                   if (at.offset == place.offset && at.length == place.length) {
                                     return digest;
                                   }
                                 }
                                 return std::nullopt;
                               })
        .WithContext("compared field by field");
  }

  Status NoneStale(const model::DecodedFront& front) const {
    BCTX_ASSIGN_OR_RETURN(const std::vector<Binding> bindings,
                          package::Bind(manifest_, front, "no view"));
    for (const Binding& binding : bindings) {
      if (!binding.stale.empty())
        return WrongCover(binding.partition + " is stale: " + binding.stale);
    }
    return OkStatus();
  }

  Status Function() {
    std::vector<std::string> scopes = {"a", "b", "c"};
    std::swap(scopes[0], scopes[random_.Below(3)]);
    scopes.resize(random_.Below(4));
    prefer_ = scopes;
    const auto& view = flat_->view();
    BCTX_ASSIGN_OR_RETURN(const package::FrontChoice choice,
                          package::ChooseFunctions(manifest_, "default", prefer_, view));
    for (const auto& [id, why] : choice.left_out) {
      ++(why.find("cycle") != std::string::npos ? seen_.cyclic : seen_.crossing);
    }
    BCTX_ASSIGN_OR_RETURN(const auto partitions,
                          package::FrontPartitions(manifest_, "default", model::Encoding::kFunction,
                                                   prefer_, view, nullptr));
    BCTX_ASSIGN_OR_RETURN(const std::string front, Encode(partitions, model::Encoding::kFunction));
    BCTX_ASSIGN_OR_RETURN(model::DecodedFront decoded,
                          model::DecodeFront(base::AsBytes(front), {}));
    if (decoded.calls.size() != partitions.size()) return WrongCover("another number of calls");
    CountNested(front, decoded);
    if (!choice.left_out.empty()) {
      BCTX_ASSIGN_OR_RETURN(decoded.view, model::InlinedFront(base::AsBytes(front), {}));
    }
    BCTX_RETURN_IF_ERROR(NoneStale(decoded));
    return Compare(partitions, model::Encoding::kFunction);
  }

  void CountNested(const std::string& front, const model::DecodedFront& decoded) {
    onnx::ModelProto parsed;
    if (!parsed.ParseFromString(front)) return;
    for (const auto& function : parsed.functions()) {
      const auto& imports = function.opset_import();
      if (function.domain() == model::kDomain && !imports.empty()) {
        seen_.nested += imports.Get(imports.size() - 1).domain() == model::kDomain;
      }
    }
    for (const model::Call& call : decoded.calls) seen_.in_branches += !call.graph_path.empty();
  }

  Status Metadata() {
    prefer_.clear();
    BCTX_ASSIGN_OR_RETURN(const auto partitions,
                          package::FrontPartitions(manifest_, "default", model::Encoding::kMetadata,
                                                   {}, flat_->view(), nullptr));
    BCTX_ASSIGN_OR_RETURN(const std::string front, Encode(partitions, model::Encoding::kMetadata));
    BCTX_ASSIGN_OR_RETURN(const model::DecodedFront decoded,
                          model::DecodeFront(base::AsBytes(front), {}));
    BCTX_RETURN_IF_ERROR(NoneStale(decoded));
    return Compare(partitions, model::Encoding::kMetadata);
  }

  // Files: packed, opened, verified, encoded to the other form and back, restored.
  Status WholePackage() {
    ++seen_.packages;
    const Digest blob = crypto::Sha256(std::string_view("a blob"));
    for (manifest::Context& context : manifest_.contexts) {
      context.blob = blob;
      context.compiler_version = "1";
    }
    authoring::Parts parts;
    parts.manifest = manifest_;
    parts.manifest.producer = "tests";
    parts.blobs = {"a blob"};
    BCTX_ASSIGN_OR_RETURN(const authoring::Assembled assembled,
                          authoring::Assemble(*flat_, std::move(parts), "package", {}));
    BCTX_RETURN_IF_ERROR(authoring::Commit(assembled, scratch_ / "package.onnx", false));
    BCTX_ASSIGN_OR_RETURN(const Package package, Open("package.onnx"));
    EncodeOptions options;
    options.encoding = FrontEncoding::kMetadata;
    BCTX_RETURN_IF_ERROR(backendctx::Encode(package, scratch_ / "flat.onnx", options).status());
    BCTX_ASSIGN_OR_RETURN(const Package flat, Open("flat.onnx"));
    options.encoding = FrontEncoding::kFunction;
    options.force = true;
    BCTX_ASSIGN_OR_RETURN(const std::string before, Read("package.onnx"));
    BCTX_RETURN_IF_ERROR(backendctx::Encode(flat, scratch_ / "package.onnx", options).status());
    BCTX_ASSIGN_OR_RETURN(const std::string after, Read("package.onnx"));
    if (after != before) return WrongCover("another front there and back");
    BCTX_RETURN_IF_ERROR(flat.Restore(scratch_ / "restored.onnx", "default", false));
    BCTX_ASSIGN_OR_RETURN(const model::FlatModel restored,
                          model::FlatModel::Load(scratch_ / "restored.onnx", {}));
    return restored.graph_digest() == flat_->graph_digest() ? OkStatus()
                                                            : WrongCover("another graph digest");
  }

  Result<Package> Open(const std::string& name) const {
    BCTX_ASSIGN_OR_RETURN(Package package, Package::Open(scratch_ / name, {}));
    VerifyOptions verify;
    verify.allow_unsigned = true;
    BCTX_RETURN_IF_ERROR(package.Verify(verify).first_error);
    for (const Binding& binding : package.bindings()) {
      if (!binding.stale.empty()) return WrongCover(name + ": stale: " + binding.stale);
    }
    return package;
  }

  Result<std::string> Read(const std::string& name) const {
    return os::ReadFile(scratch_ / name, 1u << 30);
  }

  const uint64_t seed_;
  const test::Scratch scratch_;
  Random random_;
  Tally& seen_;
  std::optional<model::FlatModel> flat_;
  std::map<Digest, model::Placement> places_;
  manifest::Manifest manifest_;
  std::vector<std::string> prefer_;
};

}  // namespace

TEST_CASE("random overlapping covers are judged, nested, encoded and undone", "[random]") {
  Tally seen;
  const char* one = std::getenv("BCTX_RANDOM_SEED");
  const uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1;
  const uint64_t count = one ? 1 : std::getenv("BCTX_TEST_LONG") ? 30000 : 2000;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const Status status = Trial(seed, &seen).Run();
    if (status.ok()) continue;
    CAPTURE(seed);
    INFO(Cut(status.message()));
    CHECK(status.ok());
  }
  std::cout << seen.legal << " legal, " << seen.illegal << " illegal; " << seen.partitions
            << " partitions, " << seen.shared << " shared, " << seen.nested
            << " functions that call others, " << seen.in_branches << " calls in branches, "
            << seen.crossing << " crossing, " << seen.cyclic << " that wait for each other, "
            << seen.packages << " whole packages, " << seen.refused_at_once << " of "
            << seen.illegal_packages << " illegal ones refused when opened\n";
  if (one) return;
  CHECK(seen.illegal > count / 20);
  CHECK(seen.legal > count / 2);
  for (const size_t times : {seen.shared, seen.nested, seen.in_branches, seen.crossing}) {
    CHECK(times > count / 20);
  }
  CHECK(seen.cyclic > 0);
  CHECK(seen.refused_at_once > 0);
}

}  // namespace backendctx::tests
