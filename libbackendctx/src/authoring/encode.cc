// New fronts for old contents: the container is copied entry by entry, so manifest, signatures and
// stored bytes stay what they are, and the fronts are derived from it as they were while packing.

#include "backendctx/encode.h"

#include "authoring/write.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx {
namespace authoring {
namespace {

// What the model folder calls an invalid argument (a partition that is not closed) is here what the
// package claims.
Status AsClaim(const Status& status) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return Status(StatusCode::kMalformed, status.message(), status.detail());
}

Status CheckOutputs(const Package& package, const std::string& output,
                    const EncodeOptions& options) {
  for (const std::string& part : {package.front_path(), package.container_path()}) {
    if (part.empty()) continue;
    BCTX_RETURN_IF_ERROR(CheckOutput(part, output, options.encoding, options.force));
  }
  return OkStatus();
}

// The container's entries as they are. Compressed ones are looked into: their stored bytes are
// copied, and nothing else would compare what they decode to. The package must outlive the items.
Result<std::vector<container::Item>> CopyContents(const Package::State& state) {
  std::vector<container::Item> items;
  for (const container::Entry& entry : state.reader->index().entries) {
    if (entry.storage == container::Storage::kZstd)
      BCTX_RETURN_IF_ERROR(state.reader->Check(entry));
    items.push_back(state.reader->ToItem(entry));
    if (entry.storage != container::Storage::kInline) continue;
    items.back().source = [&state, entry](const container::Sink& sink) -> Status {
      BCTX_ASSIGN_OR_RETURN(const std::string bytes, package::ReadEntry(state, entry));
      return sink(base::AsBytes(bytes));
    };
  }
  return items;
}

Result<EncodeReport> EncodePackage(const Package& package, const std::string& output,
                                   const EncodeOptions& options) {
  if (!package.has_container()) {
    return Status(
        StatusCode::kMalformed,
        fmt::format("{}: found a plain ONNX model, expected a package", package.front_path()),
        {.file = package.front_path()});
  }
  BCTX_RETURN_IF_ERROR(CheckForm(options.encoding, options.embed));
  if (options.encoding == FrontEncoding::kMetadata && !options.prefer.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "prefer: a front in the metadata encoding has no functions to choose");
  }
  BCTX_RETURN_IF_ERROR(CheckOutputs(package, output, options));
  const Package::State& state = package.state();
  const Form form{.encoding = options.encoding,
                  .embed = options.embed,
                  .compression = options.compression,
                  .prefer = options.prefer,
                  .variant = options.variant.empty() ? state.VariantName() : options.variant};
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, package::OpenGraph(state, form.variant));
  BCTX_ASSIGN_OR_RETURN(std::vector<container::Item> items, CopyContents(state));
  const Result<Assembled> assembled =
      Assemble(flat, state.manifest, std::move(items), StemOf(output), form);
  if (!assembled) return AsClaim(assembled.status()).InFile(package.container_path());
  BCTX_RETURN_IF_ERROR(Commit(*assembled, output, options.force));
  EncodeReport report;
  report.fronts = FrontPaths(output, options.encoding);
  if (!options.embed) {
    report.container = Beside(output, assembled->container_name);
  }
  report.front_bytes = assembled->FrontBytes();
  report.container_bytes = assembled->container.index().file_size;
  if (options.encoding == FrontEncoding::kMetadata) return report;
  BCTX_ASSIGN_OR_RETURN(
      const package::FrontChoice choice,
      package::ChooseFunctions(state.manifest, form.variant, form.prefer, flat.view()));
  for (const auto& [id, reason] : choice.left_out) report.left_out.push_back({id, reason});
  return report;
}

}  // namespace
}  // namespace authoring

Result<EncodeReport> Encode(const Package& package, const std::string& output,
                            const EncodeOptions& options) {
  return authoring::EncodePackage(package, output, options);
}

}  // namespace backendctx
