#include "plugin/plugin.h"

#include <fmt/format.h>

#include <string_view>

#include "base/os/file.h"
#include "base/os/library.h"
#include "plugin/table.h"

namespace backendctx::plugin {

struct Plugin::State {
  os::Library library;
  bctx_plugin table{};
  std::string backend, version, path;
};

namespace {

constexpr char kQuery[] = "bctx_plugin_query";
constexpr std::string_view kPrefix = "libbctx_", kSuffix = ".so", kCompiler = "_compiler.so";

Result<const bctx_plugin*> Query(bctx_plugin_query_fn query) {
  try {
    return query(BCTX_PLUGIN_ABI_VERSION);
  } catch (...) {
    return Status(StatusCode::kInternal, fmt::format("{}: threw an exception", kQuery));
  }
}

bool IsPluginName(std::string_view name, Purpose purpose) {
  if (name.size() <= kPrefix.size() + kSuffix.size()) return false;
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  return purpose != Purpose::kRun || !name.ends_with(kCompiler);
}

}  // namespace

Result<Plugin> Plugin::FromTable(const bctx_plugin* table) {
  BCTX_ASSIGN_OR_RETURN(bctx_plugin known, CheckTable(table));
  auto state = std::make_shared<State>();
  state->table = known;
  state->backend = known.backend;
  state->version = known.version;
  return Plugin(std::move(state));
}

Result<Plugin> Plugin::Load(const std::string& path) {
  BCTX_ASSIGN_OR_RETURN(os::Library library, os::Library::Open(path));
  Result<bctx_plugin_query_fn> query = library.FunctionAt<bctx_plugin_query_fn>(kQuery);
  if (!query) {
    return Status(StatusCode::kMalformed,
                  fmt::format("{}: is no plug-in: exports no {}", path, kQuery));
  }
  Result<const bctx_plugin*> table = Query(*query);
  if (!table) return table.status().WithContext(path);
  Result<bctx_plugin> known = CheckTable(*table);
  if (!known) return known.status().WithContext(path);
  auto state = std::make_shared<State>();
  state->library = std::move(library);
  state->table = *known;
  state->backend = known->backend;
  state->version = known->version;
  state->path = path;
  return Plugin(std::move(state));
}

const bctx_plugin& Plugin::table() const { return state_->table; }
const std::string& Plugin::backend() const { return state_->backend; }
const std::string& Plugin::version() const { return state_->version; }
const std::string& Plugin::path() const { return state_->path; }
bool Plugin::compiles() const { return state_->table.compile != nullptr; }
bool Plugin::runs() const { return state_->table.load != nullptr; }

Found FindPlugins(const std::vector<std::string>& folders, const std::vector<std::string>& files,
                  Purpose purpose) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    if (!os::IsFolder(folder)) continue;
    const Result<std::vector<std::string>> names = os::ListFolder(folder);
    if (!names) continue;
    for (const std::string& name : *names) {
      if (IsPluginName(name, purpose)) paths.push_back(os::Join(folder, name));
    }
  }
  // A file that was named is loaded whatever it is called.
  paths.insert(paths.end(), files.begin(), files.end());
  Found found;
  for (const std::string& path : paths) {
    Result<Plugin> plugin = Plugin::Load(path);
    if (plugin) {
      found.plugins.push_back(std::move(*plugin));
    } else {
      const std::string& message = plugin.error().message();
      found.left_out.push_back(message.starts_with(path) ? message : path + ": " + message);
    }
  }
  return found;
}

const Plugin* FindCompiler(const std::vector<Plugin>& plugins, const std::string& backend) {
  for (const Plugin& plugin : plugins) {
    if (plugin.compiles() && plugin.backend() == backend) return &plugin;
  }
  return nullptr;
}

const Plugin* FindDriver(const std::vector<Plugin>& plugins, const std::string& backend) {
  for (const Plugin& plugin : plugins) {
    if (plugin.runs() && plugin.backend() == backend) return &plugin;
  }
  return nullptr;
}

}  // namespace backendctx::plugin
