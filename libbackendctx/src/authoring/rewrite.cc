#include "authoring/rewrite.h"

#include <set>
#include <utility>

#include "authoring/write.h"
#include "base/os/file.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

// A content from the first package that holds it.
Result<std::string> ReadFrom(const std::vector<Package>& sources, const Digest& digest) {
  for (const Package& source : sources) {
    Result<std::string> bytes = source.ReadContent(digest);
    if (bytes || bytes.error().code() != StatusCode::kNotFound) return bytes;
  }
  return Status(
      StatusCode::kUnimplemented,
      fmt::format("content {} is absent: a slimmed package cannot be changed", digest.Hex()));
}

Result<Parts> Collect(const std::vector<Package>& sources, manifest::Manifest manifest) {
  Parts parts;
  std::set<Digest> blobs;
  for (const manifest::Context& context : manifest.contexts) blobs.insert(context.blob);
  for (const Digest& blob : blobs) {
    BCTX_ASSIGN_OR_RETURN(parts.blobs.emplace_back(), ReadFrom(sources, blob));
  }
  for (const manifest::Partition& partition : manifest.partitions) {
    if (!partition.body) continue;
    BCTX_ASSIGN_OR_RETURN(parts.bodies[*partition.body], ReadFrom(sources, *partition.body));
  }
  parts.manifest = std::move(manifest);
  parts.manifest.producer = kProducer;
  parts.manifest.contents.clear();  // filled in again
  parts.manifest.variants.clear();
  return parts;
}

// The form of a package, as pack is told one.
PackOptions FormOf(const Package& package, const ChangeOptions& options) {
  PackOptions form;
  form.key = options.key;
  for (const StoredContent& content : package.contents()) {
    form.compression.zstd |= content.storage == "zstd";
  }
  form.embed = package.is_embedded();
  if (package.encoding() == "metadata") form.encoding = FrontEncoding::kMetadata;
  return form;
}

}  // namespace

Result<Package> OpenVouched(const std::string& path, const ChangeOptions& options,
                            bool allow_unsigned) {
  BCTX_ASSIGN_OR_RETURN(Package package, Package::Open(path, options.open));
  if (!package.has_container()) {
    return Status(
        StatusCode::kMalformed,
        fmt::format("{}: found a plain ONNX model, expected a package", path),
        {.file = path, .field = "package", .found = "a plain ONNX model", .expected = "a package"});
  }
  VerifyOptions verify;
  verify.allow_unsigned = true;  // integrity first
  if (options.progress) {
    verify.progress = [&](uint64_t done, uint64_t total) {
      options.progress("verifying", done, total);
    };
  }
  BCTX_RETURN_IF_ERROR(package.Verify(verify).first_error.InFile(path));
  const Trust& trust = package.trust();
  const bool unsigned_one = trust.signatures.empty();
  if (trust.trusted || (allow_unsigned && unsigned_one)) return package;
  return Status(StatusCode::kUntrusted, fmt::format("{}: {}", path, trust.reason),
                {.file = path,
                 .field = "signatures",
                 .found = unsigned_one ? "no signature" : "key " + trust.signatures.front().key,
                 .expected = "a signature by a trusted key"});
}

void Tidy(manifest::Manifest* manifest) {
  std::set<std::string> contexts, partitions;
  for (const manifest::Context& context : manifest->contexts) {
    contexts.insert(context.id);
    partitions.insert(context.partition);
  }
  for (manifest::Scope& scope : manifest->scopes) {
    std::erase_if(scope.contexts, [&](const std::string& id) { return !contexts.contains(id); });
  }
  std::erase_if(manifest->scopes,
                [](const manifest::Scope& scope) { return scope.contexts.empty(); });
  std::erase_if(manifest->partitions, [&](const manifest::Partition& partition) {
    return !partitions.contains(partition.id) &&
           !partition.body;  // a legal body has its own reason
  });
}

Status CheckOutputs(const std::vector<Package>& inputs, const std::string& output, bool force) {
  for (const Package& package : inputs) {
    for (const std::string& part : {package.front_path(), package.container_path()}) {
      if (part.empty()) continue;
      BCTX_RETURN_IF_ERROR(CheckOutput(part, output, FrontEncoding::kFunction, force));
    }
  }
  return OkStatus();
}

Result<Written> WriteChanged(const std::vector<Package>& sources, manifest::Manifest manifest,
                             const std::string& output, const ChangeOptions& options) {
  const Package& base = sources.front();
  if (manifest.variants.size() != 1) {
    return Status(StatusCode::kUnimplemented,
                  fmt::format("found {} variants, this version changes packages of one",
                              manifest.variants.size()));
  }
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat,
                        package::OpenGraph(base.state(), manifest.variants.front().name));
  BCTX_ASSIGN_OR_RETURN(Parts parts, Collect(sources, std::move(manifest)));
  BCTX_ASSIGN_OR_RETURN(const Assembled assembled,
                        Assemble(flat, std::move(parts), StemOf(output), FormOf(base, options)));
  BCTX_RETURN_IF_ERROR(Commit(assembled, output, options.force));
  Written written;
  written.front = output;
  if (!base.is_embedded()) {
    written.container = Beside(output, assembled.container_name);
  }
  written.front_bytes = assembled.FrontBytes();
  written.container_bytes = assembled.container.index().file_size;
  return written;
}

}  // namespace backendctx::authoring
