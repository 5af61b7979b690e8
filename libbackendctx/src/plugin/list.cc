#include "backendctx/plugins.h"
#include "base/os/library.h"
#include "plugin/plugin.h"

namespace backendctx {
namespace {

std::vector<std::string> Names(const char* const* list) {
  std::vector<std::string> names;
  for (; list != nullptr && *list != nullptr; ++list) names.emplace_back(*list);
  return names;
}

}  // namespace

PluginList ListPlugins(const std::vector<std::string>& folders,
                       const std::vector<std::string>& files) {
  std::vector<std::string> places = folders;
  PluginList list;
  if (places.empty()) {
    Result<std::string> own = os::CurrentModuleFolder();
    if (own) {
      places.push_back(std::move(own).value());
    } else {
      list.left_out.push_back(own.error().message());
    }
  }
  plugin::Found found = plugin::FindPlugins(places, files);
  for (const plugin::Plugin& plugin : found.plugins) {
    list.plugins.push_back({plugin.backend(), plugin.version(), plugin.path(), plugin.compiles(),
                            plugin.runs(), Names(plugin.table().targets),
                            Names(plugin.table().option_keys), Names(plugin.table().load_keys)});
  }
  list.left_out.insert(list.left_out.end(), found.left_out.begin(), found.left_out.end());
  return list;
}

}  // namespace backendctx
