#include "session/lowering.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "package/lower.h"

namespace backendctx::ort {
namespace {

namespace fs = std::filesystem;

// Partitions that were chosen and that the front does not call.
std::set<std::string> Uncalled(const Plan& plan) {
  std::set<std::string> uncalled;
  if (!plan.flat) return uncalled;
  for (const package::LoadedContext& loaded : plan.selection.loaded) {
    if (!plan.flat->HasCall(loaded.partition->id)) uncalled.insert(loaded.partition->id);
  }
  return uncalled;
}

// Scopes that hold them, by the policy's order of backends, then the manifest's.
std::vector<std::string> ScopesOf(const Plan& plan, const std::set<std::string>& partitions) {
  const manifest::Manifest& manifest = plan.package->manifest();
  std::vector<const manifest::Scope*> scopes;
  for (const manifest::Scope& scope : manifest.scopes) {
    const auto holds = [&](const package::LoadedContext& loaded) {
      return partitions.contains(loaded.partition->id) &&
             std::count(scope.contexts.begin(), scope.contexts.end(), loaded.context->id) != 0;
    };
    if (std::any_of(plan.selection.loaded.begin(), plan.selection.loaded.end(), holds)) {
      scopes.push_back(&scope);
    }
  }
  const auto place = [&](const manifest::Scope* scope) {
    const std::vector<std::string>& order = plan.policy.backends;
    return std::find(order.begin(), order.end(), scope->backend) - order.begin();
  };
  std::stable_sort(scopes.begin(), scopes.end(),
                   [&](const auto* one, const auto* other) { return place(one) < place(other); });
  std::vector<std::string> names;
  for (const manifest::Scope* scope : scopes) names.push_back(scope->name);
  return names;
}

// ONNX Runtime looks for external data of a model from memory in one folder, and not behind links
// that lead out of it.
bool IsInItsFolder(const Package& package) {
  std::error_code error;
  const fs::path container = package.container_path(), folder = container.parent_path();
  const fs::path real = fs::canonical(container, error);
  if (error || real.filename() != package::TagOf(package)->container) return false;
  return real.parent_path() == fs::canonical(folder.empty() ? "." : folder, error) && !error;
}

}  // namespace

Result<LoweredPlan> LowerPlan(const ProviderOptions& options, const ModelFacts& model, Plan plan,
                              const OpenOptions& open) {
  LoweredPlan lowered{std::move(plan), {}, {}, {}};
  const std::set<std::string> uncalled = Uncalled(lowered.plan);
  if (uncalled.empty()) return lowered;
  const Package package = *lowered.plan.package;
  if (!package.is_embedded() && !IsInItsFolder(package)) {
    lowered.declined = "the container is reached through a link";
    return lowered;
  }
  const std::vector<std::string> scopes = ScopesOf(lowered.plan, uncalled);
  BCTX_ASSIGN_OR_RETURN(package::Lowered front, package::Lower(package, scopes));
  lowered.declined = front.declined;
  if (!front.declined.empty()) return lowered;
  const std::string folder = fs::path(package.container_path()).parent_path();
  ModelFacts facts = model;
  BCTX_ASSIGN_OR_RETURN(facts.package, package::OpenFrontBytes(front.front, folder, open));
  ProviderOptions again = options;
  again.full_integrity = false;  // the same container was looked at for the first plan
  BCTX_ASSIGN_OR_RETURN(Plan better, MakePlan(again, facts));
  if (Uncalled(better).size() >= uncalled.size()) {
    lowered.declined = "no more of what was chosen would be called";
    return lowered;
  }
  lowered.plan = std::move(better);
  lowered.front = std::move(front.front);
  lowered.scopes = scopes;
  return lowered;
}

}  // namespace backendctx::ort
