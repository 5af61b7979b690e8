// Verify: every byte of a package accounted for, integrity to the end before trust is judged.
//
// What Open has checked (head, manifest, signatures, index against manifest) is listed first. Then
// the stored graph is read and its meaning compared with the signed digests, the front is made
// again from it and compared byte for byte, and every content and every gap of the container is
// read.

#include <algorithm>

#include "base/bytes.h"
#include "fmt/format.h"
#include "model/front.h"
#include "model/legalize.h"
#include "package/state.h"

namespace backendctx {
namespace {

// What model calls an invalid argument (a partition that is not closed or not convex) is what the
// package claims, not what our caller asked for.
Status AsClaim(const Status& status) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
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
    Add(name, CheckMeaning(variant, *flat), "graph and structure digests agree");
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
    return OkStatus();
  }

  Status CheckPartition(const manifest::Partition& partition, const model::FlatModel& flat) const {
    BCTX_RETURN_IF_ERROR(
        CheckDigest(partition, "structure_digest", partition.structure_digest,
                    package::PartitionDigest(flat, package::ToEncoded(partition))));
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
    if (state_.front_path.empty()) return;
    if (!flat_) return;  // the graph's own check has failed already
    Add("front", CompareFront().InFile(state_.front_path), "made again from the contents: equal");
  }

  Status CompareFront() const {
    const model::FrontTag& tag = *state_.decoded->tag;
    if (tag.encoder != model::kEncoderVersion) {
      return Status(StatusCode::kUnsupportedVersion,
                    fmt::format("the front was made by encoder {}, this version checks encoder {}",
                                tag.encoder, model::kEncoderVersion));
    }
    std::vector<model::EncodedPartition> partitions;
    for (const manifest::Partition& partition : state_.manifest.partitions) {
      if (partition.variant != tag.variant) continue;
      BCTX_ASSIGN_OR_RETURN(partitions.emplace_back(), package::WithBody(state_, partition));
    }
    const Result<std::string> encoded =
        model::EncodeFront(*flat_, partitions, tag, package::LayoutOf(state_.reader->index()));
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
      if (entry.storage != container::Storage::kAbsent && status.ok()) {
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
    report.checks.push_back({"package", "a plain ONNX model: there is nothing to verify", true});
    return report;
  }
  return Verifier(*state_, options).Run();
}

}  // namespace backendctx
