// The backend plug-ins at hand: what `pack` could compile with and a runtime could run with.
//
//   for (const PluginInfo& plugin : ListPlugins({}, {}).plugins) ...
//
// Threads: plain values; each call loads each plug-in for the time of the call.
#pragma once

#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/selection.h"

namespace backendctx {

struct PluginInfo {
  std::string backend, version, path;
  bool compiles = false, runs = false;
  std::vector<std::string> targets;      // names that its compiler takes
  std::vector<std::string> option_keys;  // options that its compiler takes
  std::vector<std::string> load_keys;    // options that its driver takes from a session
};

struct PluginList {
  std::vector<PluginInfo> plugins;
  std::vector<std::string> left_out;  // "PATH: reason"
};

// `folders` empty: the folder of the library. `files` are loaded whatever they are called.
BCTX_API PluginList ListPlugins(const std::vector<std::string>& folders,
                                const std::vector<std::string>& files);

// What the system tells of this machine (HostProfile::Detect), and what the vendors' libraries do:
// the drivers of `backends` in the folder of the library are asked, those of all when it is empty.
// Loads vendor libraries; one that fails is passed over.
BCTX_API HostProfile DetectHost(const std::vector<std::string>& backends);

}  // namespace backendctx
