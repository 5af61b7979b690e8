#include "provider/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/os/library.h"
#include "model/front_tag.h"
#include "package/lower.h"
#include "plugin/plugin.h"

namespace backendctx::ort {
namespace {

using plugin::Plugin;

// The drivers beside the library, looked for once in a process, and not for models without
// contexts.
const plugin::Found& Drivers() {
  static const auto* const found = [] {
    const Result<std::string> folder = os::CurrentModuleFolder();
    return new plugin::Found(folder ? plugin::FindPlugins({*folder}, {}, plugin::Purpose::kRun)
                                    : plugin::Found());
  }();
  return *found;
}

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

Result<std::vector<PublicKey>> TrustedKeys(const ProviderOptions& options) {
  for (const std::string& path : options.trusted_keys) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("provider option trusted_keys: {}: there is no such file or folder", path));
    }
  }
  std::vector<std::string> paths = TrustFolders();
  paths.insert(paths.end(), options.trusted_keys.begin(), options.trusted_keys.end());
  return LoadTrustedKeys(paths);
}

std::vector<std::string> LoadKeys(const Plugin& driver) {
  std::vector<std::string> keys;
  for (const char* const* key = driver.table().load_keys; key != nullptr && *key != nullptr;
       ++key) {
    keys.emplace_back(*key);
  }
  return keys;
}

// Options of a plug-in are for its compiler, and a context has them in the manifest; a driver says
// which ones it takes besides.
Status CheckBackendOptions(const ProviderOptions& options) {
  for (const auto& [backend, given] : options.backend_options) {
    const std::string option = fmt::format("provider option {}.{}", backend, given.begin()->first);
    const Plugin* const driver = plugin::FindDriver(Drivers().plugins, backend);
    if (driver == nullptr) {
      std::vector<std::string> known;
      for (const Plugin& other : Drivers().plugins) known.push_back(other.backend());
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("{}: there is no backend {}; known are {}", option, backend,
                      known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }
    const std::vector<std::string> keys = LoadKeys(*driver);
    for (const auto& [key, value] : given) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format(
              "provider option {}.{}: is not known; backend {} takes {}", backend, key, backend,
              keys.empty() ? "no options when it runs" : fmt::format("{}", fmt::join(keys, ", "))));
    }
  }
  return OkStatus();
}

// Names that neither a driver nor the package has are slips of the pen: they would prefer nothing.
Status CheckBackendNames(const ProviderOptions& options, const Package* package) {
  if (options.backends.empty()) return OkStatus();
  std::set<std::string> known;
  for (const Plugin& driver : Drivers().plugins) known.insert(driver.backend());
  if (package != nullptr) {
    for (const manifest::Context& context : package->manifest().contexts) {
      known.insert(context.backend);
    }
  }
  for (const std::string& name : options.backends) {
    if (known.count(name)) continue;
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("provider option backends: there is no backend {}; known are {}", name,
                    known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
  }
  return OkStatus();
}

Status CheckAliases(const ProviderOptions& options, const Package& package) {
  if (!options.in_place_aliases || package.manifest().aliases.empty()) return OkStatus();
  const manifest::Alias& alias = package.manifest().aliases.front();
  return Status(
      StatusCode::kUnimplemented,
      fmt::format("provider option aliases: in-place binding of {} to {} cannot be honoured "
                  "by this version",
                  alias.output, alias.input));
}

// Every byte against its digest. Whom the package is signed by is the selection's business.
Status CheckEverything(const Package& package) {
  VerifyOptions options;
  options.allow_unsigned = true;
  const VerifyReport report = package.Verify(options);
  const bool is_trust = report.first_error.code() == StatusCode::kUntrusted;
  return is_trust ? OkStatus() : report.first_error;
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

// A model that was handed over as bytes: its container is found through its tag, in the folder that
// the host named for external data, but its bodies cannot be seen.
Result<Package> OpenContainer(const std::string& folder, const std::string& tag_text,
                              const OpenOptions& open) {
  BCTX_ASSIGN_OR_RETURN(const model::FrontTag tag, model::ParseTag(tag_text));
  BCTX_ASSIGN_OR_RETURN(Package package, Package::Open(folder + "/" + tag.container, open));
  if (package.manifest_digest() == tag.manifest) return package;
  return Status(StatusCode::kCorrupt,
                fmt::format("{}: has manifest {}, the model names {}", tag.container,
                            package.manifest_digest().Hex(), tag.manifest.Hex()));
}

Status Adopt(const ProviderOptions& options, const Package& package, Plan* plan) {
  if (options.full_integrity) BCTX_RETURN_IF_ERROR(CheckEverything(package));
  BCTX_RETURN_IF_ERROR(CheckAliases(options, package));
  plan->package = package;
  return OkStatus();
}

Status OpenPackage(const ProviderOptions& options, const ModelFacts& model, Plan* plan) {
  OpenOptions open;
  BCTX_ASSIGN_OR_RETURN(open.trusted_keys, TrustedKeys(options));
  const bool is_file = IsFile(model.path);
  if (!is_file && (model.path.empty() || options.full_integrity)) {
    plan->declined = "the model was loaded from bytes: its body cannot be checked";
    return OkStatus();
  }
  BCTX_ASSIGN_OR_RETURN(const model::FrontTag tag, model::ParseTag(*model.tag));
  if (!is_file && !tag.embedded.empty()) {
    plan->declined = "the model was loaded from bytes, and its container is inside them";
    return OkStatus();
  }
  const std::string folder = std::filesystem::path(model.path).parent_path();
  Result<Package> package =
      is_file ? Package::Open(model.path, open) : OpenContainer(folder, *model.tag, open);
  if (!package && package.error().code() == StatusCode::kUnsupportedVersion) {
    plan->declined = package.error().message();
    return OkStatus();
  }
  if (!package) return package.status();
  if (!package->has_container()) {
    plan->declined = model.path + ": has changed since the session began";
    return OkStatus();
  }
  if (!is_file) plan->note = "the model was loaded from bytes: body not checked";
  return Adopt(options, *package, plan);
}

// How near a context was to running.
int Nearness(const Decision& decision) {
  static const std::map<std::string, int> order = {
      {"stale", 0},        {"untrusted", 1},      {"unproved", 2}, {"no-driver", 3},
      {"incompatible", 4}, {"not-applicable", 5}, {"absent", 6}};
  const auto it = order.find(decision.reason);
  return it != order.end() ? it->second : 7;
}

}  // namespace

std::vector<std::string> TrustFolders() { return TrustFolders(Environment); }

const package::LoadedContext* Plan::Find(const std::string& partition) const {
  for (const package::LoadedContext& loaded : selection.loaded) {
    if (loaded.partition->id == partition) return &loaded;
  }
  return nullptr;
}

Result<Plan> MakePlan(const ProviderOptions& options, const ModelFacts& model) {
  Plan plan;
  BCTX_RETURN_IF_ERROR(CheckBackendOptions(options));
  plan.profile = model.profile ? *model.profile : HostProfile::Detect();
  plan.policy.backends = options.backends;
  plan.policy.require_proof = options.require_proof;
  plan.policy.load_options = options.backend_options;
  if (model.package) {
    BCTX_RETURN_IF_ERROR(Adopt(options, *model.package, &plan));
  } else if (!model.tag) {
    plan.declined = "the model has no property backendctx.front, which names the package";
  } else {
    BCTX_RETURN_IF_ERROR(OpenPackage(options, model, &plan));
  }
  BCTX_RETURN_IF_ERROR(CheckBackendNames(options, plan.package ? &*plan.package : nullptr));
  if (!plan.package) return plan;
  const plugin::Found& drivers = Drivers();
  plan.left_out_plugins = drivers.left_out;
  if (!model.profile) {
    for (std::string& failed : package::AddFacts(*plan.package, drivers.plugins, &plan.profile)) {
      plan.left_out_plugins.push_back(std::move(failed));
    }
  }
  BCTX_ASSIGN_OR_RETURN(plan.selection, package::SelectAndLoad(*plan.package, plan.profile,
                                                               plan.policy, drivers.plugins));
  plan.weights.emplace(*plan.package);
  std::optional<model::FrontTag> known = package::TagOf(*plan.package);
  if (!known) {
    BCTX_ASSIGN_OR_RETURN(known, model::ParseTag(*model.tag));
  }
  const model::FrontTag& tag = *known;
  if (package::FlatFront::MayBeNeeded(*plan.package, tag)) {
    BCTX_ASSIGN_OR_RETURN(plan.flat, package::FlatFront::Make(*plan.package, tag));
  }
  return plan;
}

std::vector<Fallback> Fallbacks(const std::vector<Decision>& decisions) {
  std::vector<std::string> order;
  std::map<std::string, const Decision*> nearest;
  std::map<std::string, bool> runs;
  for (const Decision& decision : decisions) {
    const Decision*& best = nearest[decision.partition];
    if (best == nullptr) order.push_back(decision.partition);
    if (best == nullptr || Nearness(decision) < Nearness(*best)) best = &decision;
    // A partition that shares nodes with a chosen one is no fallback: those nodes run compiled.
    runs[decision.partition] |=
        decision.outcome == Outcome::kChosen || decision.reason == "overlaps";
  }
  std::vector<Fallback> fallbacks;
  for (const std::string& partition : order) {
    if (runs[partition]) continue;
    const Decision& decision = *nearest[partition];
    fallbacks.push_back({partition, decision.reason, decision.detail});
  }
  return fallbacks;
}

std::string Summarise(const std::vector<Fallback>& fallbacks) {
  std::map<std::string, std::pair<size_t, std::string>> by_reason;  // count, first detail
  for (const Fallback& fallback : fallbacks) {
    auto& [count, detail] = by_reason[fallback.reason];
    if (count++ == 0) detail = fallback.detail;
  }
  std::string text;
  for (const auto& [reason, entry] : by_reason) {
    text += fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", entry.first, reason, entry.second);
  }
  return text;
}

}  // namespace backendctx::ort
