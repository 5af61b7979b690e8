// Verify: every byte of a package accounted for, integrity to the end before trust is judged.
//
// What Open has checked (head, manifest, signatures, index against manifest) is listed first. Then
// the stored graph is read and its meaning compared with the signed digests, the front is made
// again from it and compared byte for byte, and every content and every gap of the container is
// read.

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/bytes.h"
#include "base/os/file.h"
#include "fmt/format.h"
#include "model/compare_front.h"
#include "model/front.h"
#include "model/legalize.h"
#include "package/covers.h"
#include "package/state.h"

namespace backendctx {
namespace {

// What model calls an invalid argument (a partition that is not closed or not convex) is what the
// package claims, not what our caller asked for.
Status AsClaim(const Status& status) {
  if (status.code() != StatusCode::kInvalidArgument && status.code() != StatusCode::kNotFound) {
    return status;
  }
  return Status(StatusCode::kMalformed, status.message(), status.detail());
}

class Verifier {
 public:
  Verifier(const Package::State& state, const VerifyOptions& options)
      : state_(state), options_(options) {}

  VerifyReport Run() {
    Add("head", OkStatus(), "header and index are well formed");
    Add("manifest", OkStatus(),
        fmt::format("{} contents, {} contexts", state_.manifest.contents.size(),
                    state_.manifest.contexts.size()));
    for (const manifest::Variant& variant : state_.manifest.variants) CheckGraph(variant);
    CheckFront();
    if (!options_.quick) CheckBytes();
    CheckTrust();
    CheckRequired();
    return std::move(report_);
  }

 private:
  void Add(const std::string& name, const Status& status, const std::string& detail) {
    report_.checks.push_back({name, status.ok() ? detail : status.message(), status.ok()});
    if (!status.ok() && report_.first_error.ok()) {
      report_.first_error = status.detail().file.empty() ? status.InFile(FileName()) : status;
    }
  }
  std::string FileName() const {
    return state_.container_path.empty() ? state_.front_path : state_.container_path;
  }

  void CheckGraph(const manifest::Variant& variant) {
    const std::string name = "graph " + variant.name;
    Result<model::FlatModel> flat = package::OpenGraph(state_, variant.name);
    if (!flat) return Add(name, flat.status(), "");
    Add(name, CheckMeaning(variant, *flat), "graph and structure digests agree, scopes are covers");
    if (variant.name == state_.VariantName()) flat_ = std::move(flat).value();
  }

  Status CheckMeaning(const manifest::Variant& variant, const model::FlatModel& flat) const {
    if (flat.graph_digest() != variant.graph_digest) {
      return Status(
          StatusCode::kCorrupt,
          fmt::format("graph of variant '{}': found graph digest {}, expected {}", variant.name,
                      flat.graph_digest().Hex(), variant.graph_digest.Hex()),
          {.field = "graph_digest",
           .found = flat.graph_digest().Hex(),
           .expected = variant.graph_digest.Hex()});
    }
    for (const model::TensorContent& tensor : flat.tensors()) {
      const container::Entry* entry = state_.reader->Find(container::Kind::kTensor, tensor.digest);
      if (entry != nullptr && entry->size == tensor.size) continue;
      return Status(StatusCode::kMalformed,
                    fmt::format("graph of variant '{}' names tensor {} of {} bytes, which the "
                                "container does not hold",
                                variant.name, tensor.digest.Hex(), tensor.size));
    }
    for (const manifest::Partition& partition : state_.manifest.partitions) {
      if (partition.variant != variant.name) continue;
      BCTX_RETURN_IF_ERROR(CheckPartition(partition, flat));
    }
    return package::CheckCovers(state_.manifest, variant.name, flat.view());
  }

  Status CheckPartition(const manifest::Partition& partition, const model::FlatModel& flat) const {
    BCTX_RETURN_IF_ERROR(
        CheckDigest(partition, "structure_digest", partition.structure_digest,
                    package::PartitionDigest(flat.view(), package::ToEncoded(partition))));
    if (!partition.body) return OkStatus();
    const Result<model::EncodedPartition> encoded = package::WithBody(state_, partition);
    if (!encoded) return encoded.status();
    return CheckDigest(partition, "body_structure_digest", *partition.body_structure_digest,
                       model::LegalBodyDigest(flat, *encoded));
  }

  static Status CheckDigest(const manifest::Partition& partition, const char* field,
                            const Digest& expected, const Result<Digest>& found) {
    if (!found) return AsClaim(found.status()).WithContext("partition " + partition.id);
    if (*found == expected) return OkStatus();
    return Status(StatusCode::kCorrupt,
                  fmt::format("partition {}: found {} {}, expected {}", partition.id, field,
                              found->Hex(), expected.Hex()),
                  {.field = field, .found = found->Hex(), .expected = expected.Hex()});
  }

  void CheckFront() {
    if (!state_.decoded) return;
    if (!flat_) return;  // the graph's own check has failed already
    const uint32_t encoder = state_.decoded->tag->encoder;
    const bool is_file = !state_.front_path.empty();
    Add("front", CompareFront().InFile(is_file ? state_.front_path : "the front in memory"),
        encoder == model::kEncoderVersion
            ? "made again from the contents: equal"
            : fmt::format("of encoder {}: field by field what the contents give", encoder));
  }

  // A front of another encoder's version cannot be made again: it is taken apart instead.
  Status CompareFields(const model::FrontTag& tag) const {
    std::set<std::string> partitions;
    std::vector<model::EncodedPartition> legalised;
    for (const manifest::Partition& partition : state_.manifest.partitions) {
      if (partition.variant != tag.variant) continue;
      partitions.insert(partition.id);
      if (!partition.body) continue;
      BCTX_ASSIGN_OR_RETURN(model::EncodedPartition encoded, package::WithBody(state_, partition));
      legalised.push_back(std::move(encoded));
    }
    std::map<std::pair<uint64_t, uint64_t>, Digest> places;
    for (const container::Entry& entry : state_.reader->index().entries) {
      if (entry.kind == container::Kind::kTensor && entry.storage == container::Storage::kRaw) {
        places[{entry.offset, entry.size}] = entry.digest;
      }
    }
    return model::CompareFront(
        *flat_, base::AsBytes(state_.front), tag, partitions,
        [&places](const model::Placement& placement) -> std::optional<Digest> {
          const auto found = places.find({placement.offset, placement.length});
          if (found == places.end()) return std::nullopt;
          return found->second;
        },
        legalised);
  }

  Status CompareFront() const {
    const model::FrontTag& tag = *state_.decoded->tag;
    if (tag.encoder != model::kEncoderVersion) return CompareFields(tag);
    const auto partitions = package::FrontPartitions(
        state_.manifest, tag.variant, tag.encoding, tag.prefer, flat_->view(),
        [this](const Digest& body) { return package::ReadBody(state_, body); });
    if (!partitions) return AsClaim(partitions.status());
    std::string container;
    if (state_.IsEmbedded()) {
      BCTX_ASSIGN_OR_RETURN(container, os::ReadAll(state_.reader->file(), UINT64_MAX));
    }
    const Result<std::string> encoded =
        model::EncodeFront(*flat_, *partitions, tag, package::LayoutOf(state_.reader->index()),
                           state_.IsEmbedded() ? &container : nullptr);
    if (!encoded) return AsClaim(encoded.status());
    const std::string& made = *encoded;
    if (made == state_.front) return OkStatus();
    const auto pair =
        std::mismatch(made.begin(), made.end(), state_.front.begin(), state_.front.end());
    const auto offset = static_cast<unsigned long long>(pair.first - made.begin());
    return Status(
        StatusCode::kCorrupt,
        fmt::format("offset {}: the front is not what this package's contents give: it was "
                    "edited after it was packed",
                    offset),
        {.offset = offset,
         .field = "front",
         .found = fmt::format("{} bytes", state_.front.size()),
         .expected = fmt::format("{} bytes made from the contents", made.size())});
  }

  void CheckBytes() {
    const auto& entries = state_.reader->index().entries;
    uint64_t total = 0, done = 0;
    for (const container::Entry& entry : entries) total += entry.stored_size;
    Status status;
    for (const container::Entry& entry : entries) {
      if (entry.storage == container::Storage::kInline && status.ok()) {
        status = package::ReadEntry(state_, entry).status();
      } else if (entry.storage != container::Storage::kAbsent && status.ok()) {
        status = state_.reader->Check(entry);
      }
      done += entry.stored_size;
      if (options_.progress) options_.progress(done, total);
    }
    Add("contents", status,
        fmt::format("{} bytes in {} entries agree with their digests", total, entries.size()));
    Add("gaps", state_.reader->CheckGaps(), "bytes between entries are zero");
  }

  void CheckTrust() {
    const Trust& trust = state_.trust;
    const bool fine = trust.trusted || (options_.allow_unsigned && !options_.require_signed);
    Add("signatures",
        fine ? OkStatus()
             : Status(StatusCode::kUntrusted, trust.reason,
                      {.field = "signatures",
                       .found = trust.signatures.empty() ? "no signature"
                                                         : "key " + trust.signatures.front().key,
                       .expected = "a signature by a trusted key"}),
        trust.trusted ? fmt::format("{} verified, signed by a trusted key", trust.signatures.size())
                      : trust.reason + " (allowed)");
  }

  void CheckRequired() {
    if (options_.require_proved) {
      Status status;
      for (const manifest::Context& context : state_.manifest.contexts) {
        if (context.proof.passed || !status.ok()) continue;
        status =
            Status(StatusCode::kIncompatible,
                   fmt::format("context {} was not proved: {}", context.id, context.proof.reason),
                   {.field = "proof", .found = "not-run", .expected = "passed"});
      }
      Add("proved", status, "every context was proved");
    }
    for (const std::string& target : options_.require_targets) {
      const auto& contexts = state_.manifest.contexts;
      const bool found = std::any_of(contexts.begin(), contexts.end(),
                                     [&](const auto& context) { return context.target == target; });
      Add("target " + target,
          found ? OkStatus()
                : Status(StatusCode::kIncompatible,
                         fmt::format("no context is for target {}", target),
                         {.field = "target", .found = "no context", .expected = target}),
          "there are contexts for it");
    }
  }

  const Package::State& state_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::optional<model::FlatModel> flat_;
};

}  // namespace

VerifyReport Package::Verify(const VerifyOptions& options) const {
  if (!has_container()) {
    VerifyReport report;
    const std::string& lost = state_->decoded ? state_->decoded->container_file : "";
    if (lost.empty()) {
      report.checks.push_back({"package", "a plain ONNX model: there is nothing to verify", true});
      return report;
    }
    // A flat front without its property is a model that runs; sound as a package it is not.
    report.first_error =
        Status(StatusCode::kCorrupt,
               fmt::format(
                   "the model's weights lie in {}, but its property {} is not there: it was edited "
                   "by a tool that drops metadata",
                   lost, model::kFrontProperty),
               {.file = state_->front_path, .field = model::kFrontProperty, .found = "nothing"});
    report.checks.push_back({"package", report.first_error.message(), false});
    return report;
  }
  return Verifier(*state_, options).Run();
}

}  // namespace backendctx
