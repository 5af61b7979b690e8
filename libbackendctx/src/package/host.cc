// What vendors' libraries add to a host profile, and their verdicts on labels.
#include <algorithm>
#include <map>
#include <set>

#include "backendctx/plugins.h"
#include "base/os/library.h"
#include "package/runtime.h"

namespace backendctx {
namespace package {
namespace {

Verdict ToVerdict(bctx_verdict verdict) {
  switch (verdict) {
    case BCTX_OPTIMAL:
      return Verdict::kOptimal;
    case BCTX_PREFER_RECOMPILATION:
      return Verdict::kRecompilePreferred;
    case BCTX_UNSUPPORTED_HERE:
      return Verdict::kUnsupported;
    case BCTX_NOT_APPLICABLE:
      break;
  }
  return Verdict::kNotApplicable;
}

const std::string* LabelIn(const manifest::Context& context) {
  for (const manifest::Requirement& requirement : context.requirements) {
    const bool is_label =
        requirement.predicate == static_cast<uint32_t>(manifest::Predicate::kVendorString);
    if (is_label && requirement.values.size() == 1) return &requirement.values[0];
  }
  return nullptr;
}

void AddFactsOf(const plugin::Plugin& driver, HostProfile* profile,
                std::vector<std::string>* failed) {
  const Result<std::vector<manifest::KeyValue>> facts = plugin::FactsOf(driver);
  if (!facts) {
    failed->push_back(facts.error().message());
    return;
  }
  for (const manifest::KeyValue& fact : *facts) profile->facts[fact.key] = fact.value;
}

}  // namespace

std::vector<std::string> AddFacts(const Package& package,
                                  const std::vector<plugin::Plugin>& drivers,
                                  HostProfile* profile) {
  std::set<std::string> backends;
  for (const manifest::Context& context : package.manifest().contexts) {
    backends.insert(context.backend);
  }
  std::vector<std::string> failed;
  for (const plugin::Plugin& driver : drivers) {
    if (driver.runs() && backends.contains(driver.backend())) AddFactsOf(driver, profile, &failed);
  }
  return failed;
}

HostProfile HostOf(const plugin::Plugin* driver) {
  HostProfile profile = HostProfile::Detect();
  std::vector<std::string> failed;
  if (driver != nullptr) AddFactsOf(*driver, &profile, &failed);
  return profile;
}

void AskVendors(const std::vector<plugin::Plugin>& drivers, std::vector<Candidate>* candidates) {
  std::map<std::pair<std::string, std::string>, plugin::Judgement> known;
  for (Candidate& candidate : *candidates) {
    const std::string* label = LabelIn(*candidate.context);
    const plugin::Plugin* driver = plugin::FindDriver(drivers, candidate.context->backend);
    if (label == nullptr || driver == nullptr || driver->table().judge == nullptr) continue;
    const auto [at, is_new] = known.try_emplace({candidate.context->backend, *label});
    if (is_new) {
      Result<plugin::Judgement> judged = plugin::JudgeLabel(*driver, *label);
      at->second = judged ? std::move(*judged)
                          : plugin::Judgement{BCTX_UNSUPPORTED_HERE, judged.error().message()};
    }
    candidate.vendor_verdict = ToVerdict(at->second.verdict);
    candidate.vendor_reason = at->second.reason;
  }
}

}  // namespace package

HostProfile DetectHost(const std::vector<std::string>& backends) {
  HostProfile profile = HostProfile::Detect();
  const Result<std::string> folder = os::CurrentModuleFolder();
  if (!folder) return profile;
  std::vector<std::string> failed;
  for (const plugin::Plugin& driver :
       plugin::FindPlugins({*folder}, {}, plugin::Purpose::kRun).plugins) {
    const bool is_asked = backends.empty() || std::find(backends.begin(), backends.end(),
                                                        driver.backend()) != backends.end();
    if (is_asked) package::AddFactsOf(driver, &profile, &failed);
  }
  return profile;
}

}  // namespace backendctx
