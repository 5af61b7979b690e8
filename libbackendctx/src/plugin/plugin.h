// Backend plug-ins as C++ values: found, loaded, asked for their table, called without surprises.
//
// A plug-in is a shared object "libbctx_<backend>_compiler.so", "libbctx_<backend>_driver.so" or
// "libbctx_<backend>.so" ('-' in the backend's name written '_'); one that cannot be loaded, lacks the
// symbol, speaks another ABI version or has an impossible table is left out with the reason.
//
// Threads: immutable after construction; calls go through as plugin_abi.h says.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backendctx/manifest.h"
#include "backendctx/plugin_abi.h"
#include "backendctx/status.h"

namespace backendctx::plugin {

class Plugin {
 public:
  static Result<Plugin> Load(const std::string& path);
  // For tests and statically linked backends.
  static Result<Plugin> FromTable(const bctx_plugin* table);

  const bctx_plugin& table() const;
  std::string backend() const;
  std::string version() const;
  std::string path() const;
  bool compiles() const;
  bool runs() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

struct Found {
  std::vector<Plugin> plugins;
  std::vector<std::string> left_out;  // "PATH: reason"
};
Found FindPlugins(const std::vector<std::string>& folders, const std::vector<std::string>& files);

struct Blob {
  std::string bytes, entry;
  std::vector<manifest::Requirement> requirements;
  std::vector<manifest::KeyValue> options;
  manifest::WeightsKind weights = manifest::WeightsKind::kNone;
};
// What the plug-in promised is checked: sizes, counts, strings.
Result<Blob> Compile(const Plugin& plugin, const bctx_compile_request& request);

// A loaded kernel; unloads itself. Run is re-entrant.
class Kernel {
 public:
  static Result<Kernel> Load(const Plugin& plugin, std::span<const uint8_t> private_blob,
                             const std::string& entry,
                             const std::vector<manifest::KeyValue>& options);
  Status Run(bctx_run* run) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace backendctx::plugin
