#include "inspector/reading.h"

#include <backendctx/plugins.h>
#include <fmt/format.h>

#include <set>

#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {

void AddReadFlags(CLI::App* verb, ReadFlags* flags) {
  verb->add_option("PKG", flags->package, "a package, a container, or a plain or EPContext model")
      ->required()
      ->type_name("");
  verb->add_option("--trusted-keys", flags->trusted_keys,
                   "trust these files or folders instead of yours")
      ->allow_extra_args(false)
      ->type_name("FILE");
  verb->add_flag("--json", flags->json, "print one JSON object");
}

Result<Package> OpenPackage(const ReadFlags& flags) {
  OpenOptions options;
  BCTX_ASSIGN_OR_RETURN(options.trusted_keys, TrustedKeys(flags.trusted_keys));
  return Package::Open(flags.package, options);
}

HostProfile HostFor(const Package& package) {
  std::set<std::string> backends;
  for (const manifest::Context& context : package.manifest().contexts) {
    backends.insert(context.backend);
  }
  if (backends.empty()) return HostProfile::Detect();
  return DetectHost({backends.begin(), backends.end()});
}

std::map<std::string, Decision> DecisionsByContext(const Package& package,
                                                   const HostProfile& profile,
                                                   const Policy& policy) {
  std::map<std::string, Decision> decisions;
  for (Decision& decision : package.Decide(profile, policy, std::nullopt)) {
    const std::string context = decision.context;
    decisions.emplace(context, std::move(decision));
  }
  return decisions;
}

std::string TrustText(const Package& package) {
  const Trust& trust = package.trust();
  std::vector<std::string> parts;
  for (const Signature& signature : trust.signatures) {
    const bool trusted = signature.state == SignatureState::kTrusted;
    parts.push_back(fmt::format("{} ({})", signature.key, trusted ? "trusted" : "unknown key"));
  }
  return parts.empty() ? "no: its code never runs" : "by key " + Join(parts, ", ");
}

}  // namespace backendctx::tools
