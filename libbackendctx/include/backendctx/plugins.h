// The backend plug-ins at hand: what `pack` could compile with and a runtime could run with.
//
//   for (const PluginInfo& plugin : ListPlugins({}, {}).plugins) ...
//
// Threads: plain values; loads each plug-in for the time of the call.
#pragma once

#include <string>
#include <vector>

#include "backendctx/export.h"

namespace backendctx {

struct PluginInfo {
  std::string backend, version, path;
  bool compiles = false, runs = false;
  std::vector<std::string> targets;      // names that its compiler takes
  std::vector<std::string> option_keys;  // options that its compiler takes
};

struct PluginList {
  std::vector<PluginInfo> plugins;
  std::vector<std::string> left_out;  // "PATH: reason"
};

// `folders` empty: the folder of the library. `files` are loaded whatever they are called.
BCTX_API PluginList ListPlugins(const std::vector<std::string>& folders,
                                const std::vector<std::string>& files);

}  // namespace backendctx
