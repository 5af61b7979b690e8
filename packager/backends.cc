// bctx-pack backends: the plug-ins beside the library.

#include <backendctx/plugins.h>
#include <fmt/format.h>

#include <memory>

#include "packager/verbs.h"
#include "tools_common/json.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

std::string Does(const PluginInfo& plugin) {
  if (plugin.compiles && plugin.runs) return "compiles and runs";
  return plugin.compiles ? "compiles" : "runs";
}

std::string Text(const PluginList& list) {
  std::string text;
  for (const PluginInfo& plugin : list.plugins) {
    text += fmt::format("{} {}  {}\n", Paint(Style::kBold, Escape(plugin.backend)),
                        Escape(plugin.version), Does(plugin));
    if (!plugin.targets.empty()) text += Wrap("targets " + Escape(Join(plugin.targets, ", ")), 2);
    if (!plugin.option_keys.empty()) {
      text += Wrap("options " + Escape(Join(plugin.option_keys, ", ")), 2);
    }
    if (!plugin.load_keys.empty()) {
      text += Wrap("at load " + Escape(Join(plugin.load_keys, ", ")), 2);
    }
    text += "  " + Escape(plugin.path) + "\n";
  }
  return text;
}

int BackendsVerb(const std::vector<std::string>& files, bool json) {
  const PluginList list = ListPlugins({}, files);
  for (const std::string& left_out : list.left_out) Warn("left out: " + Escape(left_out));
  if (!json) {
    if (list.plugins.empty()) Note("found no backend plug-in");
    Print(Text(list));
    return 0;
  }
  Json report = NewReport();
  report["backends"] = Json::array();
  for (const PluginInfo& plugin : list.plugins) {
    report["backends"].push_back({{"backend", plugin.backend},
                                  {"version", plugin.version},
                                  {"path", plugin.path},
                                  {"compiles", plugin.compiles},
                                  {"runs", plugin.runs},
                                  {"targets", plugin.targets},
                                  {"options", plugin.option_keys},
                                  {"load_options", plugin.load_keys}});
  }
  report["left_out"] = list.left_out;
  PrintJson(report);
  return 0;
}

}  // namespace

void AddBackends(CommandLine& line) {
  auto files = std::make_shared<std::vector<std::string>>();
  auto json = std::make_shared<bool>(false);
  CLI::App* verb =
      line.Verb("backends", "the backend plug-ins at hand", "bctx-pack backends --json",
                [files, json] { return BackendsVerb(*files, *json); });
  verb->add_option("--plugin", *files, "one more backend plug-in")
      ->allow_extra_args(false)
      ->type_name("FILE");
  verb->add_flag("--json", *json, "print them as JSON");
}

}  // namespace backendctx::tools
