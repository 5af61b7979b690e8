// bctx-inspect why: the decision about every context, for this machine or for another one.

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "inspector/plain.h"
#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Flags {
  ReadFlags read;
  std::string profile, policy;
};

Result<HostProfile> ReadProfile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    return Status(StatusCode::kIo, fmt::format("{}: the profile cannot be read", path),
                  {.file = path});
  }
  Result<HostProfile> profile = HostProfile::FromJson(text.str());
  if (!profile) return profile.error().InFile(path);
  return profile;
}

// require-proof, assume-stored, backends=A:B; commas between.
Result<Policy> ParsePolicy(const std::string& text) {
  Policy policy;
  for (const std::string& word : Split(text, ',')) {
    if (word == "require-proof") {
      policy.require_proof = true;
    } else if (word == "assume-stored") {
      policy.assume_stored = true;
    } else if (word.rfind("backends=", 0) == 0) {
      policy.backends = Split(word.substr(9), ':');
      if (policy.backends.empty()) {
        return Status(StatusCode::kInvalidArgument, "--policy backends: found no name");
      }
    } else {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("--policy: found {}, expected require-proof, assume-stored or backends=A:B",
                      word));
    }
  }
  return policy;
}

// A name that the package does not have is a slip of the pen: it would prefer nothing.
Status CheckBackends(const Policy& policy, const Package& package) {
  std::set<std::string> known;
  for (const manifest::Context& context : package.manifest().contexts) {
    known.insert(context.backend);
  }
  for (const std::string& name : policy.backends) {
    if (known.empty() || known.contains(name)) continue;
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("--policy: the package has no backend {}; it has {}", Escape(name),
                              Escape(Join({known.begin(), known.end()}, ", "))));
  }
  return OkStatus();
}

Json DecisionsJson(const Package& package, const std::vector<Decision>& decisions,
                   const HostProfile& profile, const Policy& policy) {
  Json json = NewReport();
  json["file"] = package.front_path().empty() ? package.container_path() : package.front_path();
  json["profile"] = Json::parse(profile.ToJson());
  json["policy"] = {{"backends", policy.backends},
                    {"require_proof", policy.require_proof},
                    {"assume_stored", policy.assume_stored}};
  json["decisions"] = Json::array();
  for (const Decision& decision : decisions) {
    json["decisions"].push_back({{"partition", decision.partition},
                                 {"context", decision.context},
                                 {"verdict", VerdictName(decision.verdict)},
                                 {"outcome", OutcomeName(decision.outcome)},
                                 {"reason", decision.reason},
                                 {"detail", decision.detail}});
  }
  return json;
}

struct Row {
  std::string target, verdict, outcome, reason, detail;
  auto operator<=>(const Row&) const = default;
};
struct Group {
  std::vector<std::string> partitions;
  std::vector<Row> rows;
};

// Partitions about which everything is decided alike are told once.
std::vector<Group> GroupDecisions(const Package& package, const std::vector<Decision>& decisions) {
  std::vector<Group> groups;
  for (const manifest::Partition& partition : package.manifest().partitions) {
    std::vector<Row> rows;
    for (const Decision& decision : decisions) {
      if (decision.partition != partition.id) continue;
      const manifest::Context* context = package.manifest().FindContext(decision.context);
      rows.push_back(
          {context == nullptr ? decision.context : context->backend + " " + context->target,
           VerdictName(decision.verdict), OutcomeName(decision.outcome), decision.reason,
           decision.detail});
    }
    const auto same = std::find_if(groups.begin(), groups.end(),
                                   [&](const Group& group) { return group.rows == rows; });
    if (same == groups.end()) {
      groups.push_back({{partition.id}, rows});
    } else {
      same->partitions.push_back(partition.id);
    }
  }
  return groups;
}

std::string GroupText(const Group& group) {
  const size_t count = group.partitions.size();
  std::string name = Escape(group.partitions.front());
  if (count > 1) name += fmt::format(" and {} more alike", count - 1);
  const bool chosen = std::any_of(group.rows.begin(), group.rows.end(),
                                  [](const Row& row) { return row.outcome == "chosen"; });
  std::string text = fmt::format(
      "{}: {}\n", Paint(Style::kBold, name),
      chosen ? Paint(Style::kGood, "runs compiled") : Paint(Style::kWarn, "runs interpreted"));
  for (const Row& row : group.rows) {
    text += fmt::format("  {:<9} {:<26} {}\n", row.outcome, Escape(row.target),
                        row.reason == "ok" ? row.verdict : row.verdict + ", " + row.reason);
    if (row.reason != "ok" && !row.detail.empty()) text += Wrap(Escape(row.detail), 12);
  }
  return text;
}

Result<std::string> DecisionsText(const Package& package, const std::vector<Decision>& decisions) {
  if (decisions.empty()) {
    BCTX_ASSIGN_OR_RETURN(const ModelReferences references, ReferencesOf(package));
    if (!references.ep_contexts.empty()) {
      return Wrap(
          fmt::format("{} of other makers: whether their code runs is decided by the provider "
                      "that made it, and there is no fallback",
                      Plural(references.ep_contexts.size(), "EPContext node")),
          0);
    }
    return std::string("no contexts: the whole model runs interpreted\n");
  }
  std::string text;
  for (const Group& group : GroupDecisions(package, decisions)) text += GroupText(group);
  return text;
}

int WhyVerb(const Flags& flags) {
  const Result<Policy> policy = ParsePolicy(flags.policy);
  if (!policy) return Fail(policy.error());
  const bool is_here = flags.profile.empty();
  Result<HostProfile> profile = is_here ? HostProfile() : ReadProfile(flags.profile);
  if (!profile) return Fail(profile.error());
  const Result<Package> package = OpenPackage(flags.read);
  if (!package) return Fail(package.error());
  if (const Status known = CheckBackends(*policy, *package); !known.ok()) return Fail(known);
  if (is_here) profile = HostFor(*package);
  const std::vector<Decision> decisions = package->Decide(*profile, *policy, std::nullopt);
  if (flags.read.json) {
    PrintJson(DecisionsJson(*package, decisions, *profile, *policy));
  } else {
    const Result<std::string> text = DecisionsText(*package, decisions);
    if (!text) return Fail(text.error());
    Print(*text);
  }
  return 0;
}

}  // namespace

void AddWhy(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("why", "the decision about every context, with reasons",
                             "bctx-inspect why package.onnx --profile other-host.json",
                             [flags] { return WhyVerb(*flags); });
  AddReadFlags(verb, &flags->read);
  verb->add_option("--profile", flags->profile, "another machine, as `host --json` printed it")
      ->type_name("HOST.json");
  verb->add_option("--policy", flags->policy,
                   "require-proof, assume-stored (as if absent code were there), "
                   "backends=A:B; commas between")
      ->type_name("LIST");
}

}  // namespace backendctx::tools
