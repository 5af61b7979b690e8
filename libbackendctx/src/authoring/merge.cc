#include <algorithm>
#include <map>
#include <set>

#include "authoring/compare_models.h"
#include "authoring/rewrite.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx {
namespace authoring {
namespace {

std::vector<std::string> Names(const std::vector<manifest::BoundaryValue>& values) {
  std::vector<std::string> names;
  for (const manifest::BoundaryValue& value : values) names.push_back(value.name);
  return names;
}

bool SamePartition(const manifest::Partition& a, const manifest::Partition& b) {
  return a.variant == b.variant && a.graph_path == b.graph_path && a.nodes == b.nodes &&
         a.structure_digest == b.structure_digest && a.body == b.body &&
         Names(a.inputs) == Names(b.inputs) && Names(a.outputs) == Names(b.outputs);
}

// The same variants over the same graphs: InvalidArgument with the first difference.
Status CheckSameGraphs(const Package& a, const Package& b, const std::string& a_path,
                       const std::string& b_path) {
  const auto differ = [&](const std::string& how) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{} and {} are packages of different graphs: {}", a_path, b_path, how),
        {.file = b_path, .field = "graph", .found = how, .expected = "the same graph"});
  };
  const auto& mine = a.manifest().variants;
  const auto& theirs = b.manifest().variants;
  if (mine.size() != theirs.size()) {
    return differ(fmt::format("{} and {} variants", mine.size(), theirs.size()));
  }
  for (const manifest::Variant& variant : mine) {
    const manifest::Variant* other = b.manifest().FindVariant(variant.name);
    if (other == nullptr) return differ(fmt::format("only one has variant '{}'", variant.name));
    if (other->graph_digest == variant.graph_digest) continue;
    BCTX_ASSIGN_OR_RETURN(const model::FlatModel x, package::OpenGraph(a.state(), variant.name));
    BCTX_ASSIGN_OR_RETURN(const model::FlatModel y, package::OpenGraph(b.state(), variant.name));
    const std::string how = FirstDifference(x.view(), y.view());
    return differ(how.empty() ? "graph digests" : how);
  }
  return OkStatus();
}

class Merger {
 public:
  explicit Merger(const Package& first) : manifest_(first.manifest()) {}

  void Add(const Package& package, const std::string& path, MergeReport* report) {
    const manifest::Manifest& theirs = package.manifest();
    manifest_.sequence = std::max(manifest_.sequence, theirs.sequence);
    Unite(theirs.required_features, &manifest_.required_features);
    std::map<std::string, std::string> renamed;  // their partition -> ours
    for (const manifest::Partition& partition : theirs.partitions) {
      renamed[partition.id] = Place(partition);
    }
    std::map<std::string, std::string> contexts;  // their context -> ours
    for (const manifest::Context& context : theirs.contexts) {
      contexts[context.id] = AddContext(context, renamed.at(context.partition), path, report);
    }
    for (const manifest::Scope& scope : theirs.scopes) AddScope(scope, contexts);
    for (const manifest::Alias& alias : theirs.aliases) AddAlias(alias);
  }

  manifest::Manifest Take() {
    std::sort(manifest_.contexts.begin(), manifest_.contexts.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    for (manifest::Scope& scope : manifest_.scopes) {
      std::sort(scope.contexts.begin(), scope.contexts.end());
    }
    Tidy(&manifest_);
    return std::move(manifest_);
  }

 private:
  static void Unite(const std::vector<std::string>& from, std::vector<std::string>* to) {
    for (const std::string& text : from) {
      if (std::find(to->begin(), to->end(), text) == to->end()) to->push_back(text);
    }
  }

  // The id under which a partition is in the result; a name that another one has gets a number.
  std::string Place(manifest::Partition partition) {
    std::set<std::string> ids, functions;
    for (const manifest::Partition& mine : manifest_.partitions) {
      if (SamePartition(mine, partition)) return mine.id;
      ids.insert(mine.id);
      functions.insert(mine.function);
    }
    const std::string id = partition.id, function = partition.function;
    for (int number = 2; ids.contains(partition.id) || functions.contains(partition.function);
         ++number) {
      partition.id = fmt::format("{}-{}", id, number);
      partition.function = fmt::format("{}_{}", function, number);
    }
    manifest_.partitions.push_back(partition);
    return partition.id;
  }

  std::string AddContext(manifest::Context context, const std::string& partition,
                         const std::string& path, MergeReport* report) {
    context.partition = partition;
    context.id = fmt::format("{}/{}/{}", partition, context.backend, context.target);
    for (manifest::Context& mine : manifest_.contexts) {
      if (mine.id != context.id) continue;
      if (mine.blob != context.blob || mine.entry != context.entry) {
        report->left_out.push_back(
            fmt::format("{} of {}: an earlier package has another build of it", context.id, path));
      } else if (!mine.proof.passed && context.proof.passed) {
        mine.proof = context.proof;
        report->added.push_back({context.id, path, "proof"});
      }
      return context.id;
    }
    report->added.push_back({context.id, path, ""});
    manifest_.contexts.push_back(context);
    return context.id;
  }

  void AddScope(const manifest::Scope& scope, const std::map<std::string, std::string>& contexts) {
    auto mine = std::find_if(manifest_.scopes.begin(), manifest_.scopes.end(),
                             [&](const manifest::Scope& other) {
                               return other.name == scope.name && other.backend == scope.backend &&
                                      other.variant == scope.variant;
                             });
    if (mine == manifest_.scopes.end()) {
      manifest_.scopes.push_back({scope.name, scope.backend, scope.variant, {}});
      mine = manifest_.scopes.end() - 1;
    }
    std::vector<std::string> ids;
    for (const std::string& context : scope.contexts) ids.push_back(contexts.at(context));
    Unite(ids, &mine->contexts);
  }

  void AddAlias(const manifest::Alias& alias) {
    for (const manifest::Alias& mine : manifest_.aliases) {
      if (mine.input == alias.input && mine.output == alias.output) return;
    }
    manifest_.aliases.push_back(alias);
  }

  manifest::Manifest manifest_;
};

}  // namespace
}  // namespace authoring

Result<MergeReport> Merge(const std::vector<std::string>& paths, const std::string& output,
                          const ChangeOptions& options) {
  if (paths.size() < 2) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("merge: found {} package, expected at least two", paths.size()));
  }
  MergeReport report;
  std::vector<Package> packages;
  for (const std::string& path : paths) {
    BCTX_ASSIGN_OR_RETURN(Package package,
                          authoring::OpenVouched(path, options, options.allow_unsigned));
    packages.push_back(std::move(package));
  }
  BCTX_RETURN_IF_ERROR(authoring::CheckOutputs(packages, output, options.force));
  authoring::Merger merger(packages.front());
  for (size_t i = 1; i < packages.size(); ++i) {
    BCTX_RETURN_IF_ERROR(authoring::CheckSameGraphs(packages[0], packages[i], paths[0], paths[i]));
    merger.Add(packages[i], paths[i], &report);
  }
  BCTX_ASSIGN_OR_RETURN(report.written,
                        authoring::WriteChanged(packages, merger.Take(), output, options));
  return report;
}

}  // namespace backendctx
