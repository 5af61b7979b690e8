#include "authoring/pack.h"

#include <string>
#include <unordered_set>

#include "authoring/compile.h"
#include "authoring/legal_body.h"
#include "authoring/offers.h"
#include "authoring/regions.h"
#include "authoring/write.h"
#include "base/os/file.h"
#include "base/os/library.h"
#include "fmt/format.h"
#include "model/flat_model.h"

namespace backendctx {
namespace authoring {
namespace {

constexpr char kVariant[] = "default";
constexpr uint64_t kMostEmbedded = (1ull << 31) - 1;

// The file's name without what is behind its last dot.
std::string BaseName(const std::string& path) {
  std::string name = os::NameOf(path);
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot != 0) name.resize(dot);
  return name;
}

Parts MakeParts(std::vector<Region> regions, Compiled* compiled, const std::string& model,
                const PackOptions& options) {
  Parts parts;
  manifest::Manifest& manifest = parts.manifest;
  manifest.name = options.name.empty() ? BaseName(model) : options.name;
  manifest.sequence = options.sequence;
  manifest.producer = kProducer;
  for (Region& region : regions) {
    if (region.partition.body) parts.bodies.emplace(*region.partition.body, region.legal_body);
    manifest.partitions.push_back(std::move(region.partition));
  }
  manifest.contexts = std::move(compiled->contexts);
  manifest.scopes = std::move(compiled->scopes);
  parts.blobs = std::move(compiled->blobs);
  return parts;
}

// Asked before anything is compiled: the weights alone may be too many for one file.
Status CheckEmbeddable(const model::FlatModel& flat) {
  uint64_t bytes = 0;
  for (const model::TensorContent& tensor : flat.tensors()) bytes += tensor.size;
  if (bytes <= kMostEmbedded) return OkStatus();
  return Status(StatusCode::kResourceExhausted,
                fmt::format("found {} bytes of weights, one file holds at most {}: pack without "
                            "--embed, which keeps them in a container beside the front",
                            bytes, kMostEmbedded));
}

// A partition that no backend compiled is no partition: the flat nodes stay as they were. Unless
// ONNX Runtime cannot run those.
void DropUncompiled(const Compiled& compiled, Regions* regions) {
  std::unordered_set<std::string> compiled_ones;
  for (const manifest::Context& context : compiled.contexts) {
    compiled_ones.insert(context.partition);
  }
  std::erase_if(regions->taken,
                [&](const TakenRegion& taken) { return !compiled_ones.contains(taken.partition); });
  std::erase_if(regions->regions, [&](const Region& region) {
    return !region.partition.body && !compiled_ones.contains(region.partition.id);
  });
}

// Adds what no backend takes and ONNX Runtime refuses, and reports every legalised body.
Status AddLegalOperators(const model::FlatModel& flat, const PackOptions& options,
                         std::vector<Region>* regions, PackReport* report) {
  if (options.legalize) {
    BCTX_ASSIGN_OR_RETURN(LegalOperators operators,
                          LegalizeOperators(flat, *regions, kVariant, options.proof));
    std::move(operators.regions.begin(), operators.regions.end(), std::back_inserter(*regions));
    report->unrunnable = std::move(operators.unrunnable);
  }
  for (const Region& region : *regions) {
    if (region.partition.body) {
      report->legalized.push_back({region.partition.id, region.partition.graph_path,
                                   region.partition.nodes, region.partition.body->Hex()});
    }
  }
  return OkStatus();
}

void FillSizes(const Assembled& assembled, const model::FlatModel& flat, const std::string& output,
               FrontEncoding encoding, PackReport* report) {
  report->front = output;
  report->fronts = FrontPaths(output, encoding);
  report->embedded = assembled.container_name.empty();
  if (!report->embedded) {
    report->container = Beside(output, assembled.container_name);
  }
  report->front_bytes = assembled.FrontBytes();
  report->container_bytes = assembled.container.index().file_size;
  for (const container::Entry& entry : assembled.container.index().entries) {
    if (entry.kind == container::Kind::kBlob) report->blob_bytes += entry.stored_size;
  }
  report->model_bytes = flat.Stored().size();
  for (const model::TensorContent& tensor : flat.tensors()) report->model_bytes += tensor.size;
}

}  // namespace

Result<PackReport> PackWith(const std::vector<plugin::Plugin>& plugins, const std::string& model,
                            const std::string& output, const PackOptions& options) {
  BCTX_RETURN_IF_ERROR(CheckForm(options.encoding, options.embed));
  BCTX_RETURN_IF_ERROR(CheckOutput(model, output, options.encoding, options.force));
  if (options.progress) options.progress("reading", 0, 1);
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat,
                        model::FlatModel::Load(model, model::LoadLimits{}));
  BCTX_RETURN_IF_ERROR(flat.CheckPackable().InFile(model));
  if (options.embed) BCTX_RETURN_IF_ERROR(CheckEmbeddable(flat).InFile(model));
  std::vector<std::string> left_out;
  BCTX_ASSIGN_OR_RETURN(Regions regions,
                        TakeRegions(flat, kVariant, plugins, options.backends, &left_out));
  BCTX_ASSIGN_OR_RETURN(Compiled compiled,
                        CompileRegions(flat, &regions.regions, plugins, options));

  const size_t candidates = regions.taken.size() + regions.not_taken.size();
  DropUncompiled(compiled, &regions);
  PackReport report;
  report.left_out = std::move(left_out);
  report.taken = std::move(regions.taken);
  report.not_taken = std::move(regions.not_taken);
  report.not_taken.insert(report.not_taken.end(), compiled.not_taken.begin(),
                          compiled.not_taken.end());
  report.contexts = compiled.report;
  report.dropped = compiled.dropped;
  report.distinct_partitions = compiled.distinct;
  if (compiled.contexts.empty() && options.require_context) {
    return Status(
        StatusCode::kIncompatible,
        fmt::format("{}: nothing was compiled: {} candidates, {} not taken, {} wrong", model,
                    candidates, report.not_taken.size(), report.dropped.size()),
        {.file = model, .field = "contexts", .found = "none", .expected = "at least one"});
  }
  BCTX_RETURN_IF_ERROR(AddLegalOperators(flat, options, &regions.regions, &report));
  if (options.progress) options.progress("writing", 0, 1);
  BCTX_ASSIGN_OR_RETURN(
      const Assembled assembled,
      Assemble(flat, MakeParts(std::move(regions.regions), &compiled, model, options),
               StemOf(output), options));
  FillSizes(assembled, flat, output, options.encoding, &report);
  if (!options.dry_run) BCTX_RETURN_IF_ERROR(Commit(assembled, output, options.force));
  return report;
}

}  // namespace authoring

Result<PackReport> Pack(const std::string& model, const std::string& output,
                        const PackOptions& options) {
  std::vector<std::string> folders = options.plugin_folders;
  if (folders.empty()) {
    BCTX_ASSIGN_OR_RETURN(folders.emplace_back(), os::CurrentModuleFolder());
  }
  const plugin::Found found = plugin::FindPlugins(folders, options.plugins);
  Result<PackReport> report = authoring::PackWith(found.plugins, model, output, options);
  if (report || found.left_out.empty()) return report;
  return Status(report.error().code(),
                fmt::format("{} (plug-ins left out: {})", report.error().message(),
                            fmt::join(found.left_out, "; ")),
                report.error().detail());
}

}  // namespace backendctx
