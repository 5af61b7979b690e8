// bctx-inspect host: what this machine is, as `why --profile` takes it.

#include <backendctx/plugins.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

std::string FactText(const HostProfile::Fact& fact) {
  if (const auto* text = std::get_if<std::string>(&fact)) return Escape(*text);
  if (const auto* number = std::get_if<int64_t>(&fact)) return fmt::format("{}", *number);
  return Escape(Join(std::get<std::vector<std::string>>(fact), " "));
}

void PrintLine(const std::string& key, const std::string& text) {
  constexpr size_t kIndent = 16;
  const std::string wrapped = Wrap(text, kIndent);
  Print(fmt::format("{:<{}}{}", Escape(key), kIndent,
                    wrapped.size() > kIndent ? wrapped.substr(kIndent) : "\n"));
}

int HostVerb(bool json) {
  const HostProfile profile = DetectHost({});
  if (json) {
    Print(profile.ToJson());
    Print("\n");
    return 0;
  }
  for (const auto& [key, fact] : profile.facts) PrintLine(key, FactText(fact));
  for (const HostProfile::Device& device : profile.devices) {
    std::vector<std::string> facts;
    for (const auto& [key, fact] : device.facts) facts.push_back(key + " " + FactText(fact));
    PrintLine("device." + device.kind, Join(facts, ", "));
  }
  return 0;
}

}  // namespace

void AddHost(CommandLine& line) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb =
      line.Verb("host", "this machine's profile", "bctx-inspect host --json > host.json",
                [json] { return HostVerb(*json); });
  verb->add_flag("--json", *json, "print it as --profile takes it");
}

}  // namespace backendctx::tools
