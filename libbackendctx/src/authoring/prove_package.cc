// Proofs of a package that is there. The cases are drawn from the pattern, which the manifest does
// not hold: each partition's region is found again in the stored graph, by its nodes and structure.

#include <map>
#include <memory>
#include <set>

#include "authoring/legal_body.h"
#include "authoring/prove.h"
#include "authoring/regions.h"
#include "authoring/request.h"
#include "authoring/rewrite.h"
#include "base/os/library.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx {
namespace authoring {
namespace {

class PackageProver {
 public:
  PackageProver(const Package& package, const ChangeOptions& options,
                const std::vector<plugin::Plugin>& plugins)
      : package_(package), options_(options), plugins_(plugins), manifest_(package.manifest()) {}

  Status Run(ProveReport* report) {
    BCTX_RETURN_IF_ERROR(FindAgain());
    std::vector<manifest::Context> kept;
    uint64_t done = 0;
    const uint64_t total = manifest_.contexts.size();
    for (manifest::Context& context : manifest_.contexts) {
      if (options_.progress) options_.progress("proving", done++, total);
      ProofChange change{context.id,           context.target,       context.proof.passed,
                         context.proof.passed, context.proof.reason, 0};
      BCTX_ASSIGN_OR_RETURN(const Verdicts verdicts, ProveOne(context));
      if (!verdicts.wrong.empty()) {
        report->dropped.push_back(fmt::format("{}: {}", context.id, verdicts.wrong));
        continue;
      }
      change.reason = verdicts.proof.reason;
      if (verdicts.proof.passed) {
        context.proof = verdicts.proof;
        change.after = true;
        change.largest_error = verdicts.largest_error;
      }
      report->proofs.push_back(std::move(change));
      kept.push_back(std::move(context));
    }
    manifest_.contexts = std::move(kept);
    Tidy(&manifest_);
    return OkStatus();
  }

  manifest::Manifest& manifest() { return manifest_; }

 private:
  // A partition, found again.
  struct Found {
    std::unique_ptr<PartitionForPlugin> partition;
    std::unique_ptr<Prover> prover;
  };

  Status FindAgain() {
    for (const manifest::Variant& variant : manifest_.variants) {
      BCTX_ASSIGN_OR_RETURN(model::FlatModel flat,
                            package::OpenGraph(package_.state(), variant.name));
      flats_.push_back(std::make_unique<model::FlatModel>(std::move(flat)));
      BCTX_ASSIGN_OR_RETURN(Regions regions, FindRegions(*flats_.back(), variant.name));
      for (Region& region : regions.regions) {
        const manifest::Partition* partition = Counterpart(region.partition, variant.name);
        if (partition == nullptr) continue;
        BCTX_RETURN_IF_ERROR(AddProver(*partition, &region));
      }
      for (const manifest::Partition& partition : manifest_.partitions) {
        if (partition.variant != variant.name || found_.contains(partition.id)) continue;
        BCTX_ASSIGN_OR_RETURN(Region region, AsRegion(partition));
        BCTX_RETURN_IF_ERROR(AddProver(partition, &region));
      }
    }
    return OkStatus();
  }

  // What a backend offered to take: the nodes that the manifest names.
  Result<Region> AsRegion(const manifest::Partition& partition) const {
    Region region;
    for (const model::GraphView* graph : model::AllGraphs(flats_.back()->view())) {
      if (graph->path == partition.graph_path) region.graph = graph;
    }
    if (region.graph == nullptr) {
      return Status(StatusCode::kMalformed, fmt::format("partition {}: there is no graph '{}'",
                                                        partition.id, partition.graph_path));
    }
    const std::set<std::string> keys(partition.nodes.begin(), partition.nodes.end());
    for (size_t i = 0; i < region.graph->nodes.size(); ++i) {
      if (keys.contains(region.graph->nodes[i].Key())) region.nodes.push_back(i);
    }
    return region;
  }

  Status AddProver(const manifest::Partition& partition, Region* region) {
    BCTX_RETURN_IF_ERROR(TakeBody(partition, region));
    BCTX_ASSIGN_OR_RETURN(auto made, PartitionForPlugin::Make(*flats_.back(), *region,
                                                              options_.proof.temporary_folder));
    BCTX_ASSIGN_OR_RETURN(const std::string body, BodyModelOf(*flats_.back(), *region));
    auto prover = std::make_unique<Prover>(options_.proof, *made, *region, body);
    found_[partition.id] = {std::move(made), std::move(prover)};
    return OkStatus();
  }

  // The body that the package's front runs, legalised or not.
  Status TakeBody(const manifest::Partition& partition, Region* region) const {
    region->partition = partition;
    region->legal_body.clear();
    if (!partition.body) return OkStatus();
    BCTX_ASSIGN_OR_RETURN(region->legal_body, package_.ReadContent(*partition.body));
    return OkStatus();
  }

  const manifest::Partition* Counterpart(const manifest::Partition& region,
                                         const std::string& variant) const {
    for (const manifest::Partition& partition : manifest_.partitions) {
      if (partition.variant == variant && partition.graph_path == region.graph_path &&
          partition.nodes == region.nodes &&
          partition.structure_digest == region.structure_digest) {
        return &partition;
      }
    }
    return nullptr;
  }

  Result<Verdicts> ProveOne(const manifest::Context& context) {
    Verdicts verdicts;
    if (context.proof.passed && !options_.prove_again) return verdicts;
    const auto found = found_.find(context.partition);
    if (found == found_.end()) {
      return Status(StatusCode::kMalformed, fmt::format("context {}: there is no partition '{}'",
                                                        context.id, context.partition));
    }
    // Equal layers share code, and so its verdict.
    const std::string key = context.blob.Hex() + ' ' + context.entry;
    if (const auto known = verdicts_.find(key); known != verdicts_.end()) return known->second;
    plugin::Blob blob;
    BCTX_ASSIGN_OR_RETURN(blob.bytes, package_.ContextBytes(context.id));
    blob.entry = context.entry;
    blob.requirements = context.requirements;
    blob.options = context.options;
    blob.weights = context.weights;  // its label is among the requirements
    BCTX_ASSIGN_OR_RETURN(
        verdicts, found->second.prover->Prove(blob, plugin::FindDriver(plugins_, context.backend)));
    verdicts_.emplace(key, verdicts);
    return verdicts;
  }

  const Package& package_;
  const ChangeOptions& options_;
  const std::vector<plugin::Plugin>& plugins_;
  manifest::Manifest manifest_;
  std::vector<std::unique_ptr<model::FlatModel>> flats_;  // the provers look into them
  std::map<std::string, Found> found_;                    // by partition
  std::map<std::string, Verdicts> verdicts_;
};

}  // namespace
}  // namespace authoring

Result<ProveReport> Prove(const std::string& path, const std::string& output,
                          const ChangeOptions& options) {
  BCTX_ASSIGN_OR_RETURN(const Package package, authoring::OpenVouched(path, options, false));
  std::vector<std::string> folders = options.plugin_folders;
  if (folders.empty()) {
    BCTX_ASSIGN_OR_RETURN(folders.emplace_back(), os::CurrentModuleFolder());
  }
  const plugin::Found found = plugin::FindPlugins(folders, options.plugins, plugin::Purpose::kRun);
  BCTX_RETURN_IF_ERROR(authoring::CheckOutputs({package}, output, options.force));
  ProveReport report;
  authoring::PackageProver prover(package, options, found.plugins);
  BCTX_RETURN_IF_ERROR(prover.Run(&report));
  BCTX_ASSIGN_OR_RETURN(
      report.written,
      authoring::WriteChanged({package}, std::move(prover.manifest()), output, options));
  return report;
}

}  // namespace backendctx
