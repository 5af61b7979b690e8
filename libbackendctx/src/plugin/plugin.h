// Backend plug-ins as C++ values: found, loaded, asked for their table, called without surprises.
//
// A plug-in is a shared object "libbctx_<backend>_compiler.so", "libbctx_<backend>_driver.so" or
// "libbctx_<backend>.so" ('-' in the backend's name written '_'); one that cannot be loaded, lacks
// the symbol, speaks another ABI version or has an impossible table is left out with the reason.
//
// Threads: immutable after construction; calls go through as plugin_abi.h says.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/plugin_abi.h"
#include "backendctx/status.h"

namespace backendctx::plugin {

class Plugin {
 public:
  static Result<Plugin> Load(const std::string& path);
  // For tests and statically linked backends.
  static Result<Plugin> FromTable(const bctx_plugin* table);

  // Members behind the plug-in's struct_size are null.
  const bctx_plugin& table() const;
  BCTX_API const std::string& backend() const;
  const std::string& version() const;
  BCTX_API const std::string& path() const;  // "" for a table
  bool compiles() const;
  BCTX_API bool runs() const;

 private:
  struct State;
  explicit Plugin(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

struct Found {
  std::vector<Plugin> plugins;
  std::vector<std::string> left_out;  // "PATH: reason"
};
// A host that only runs blobs asks for kRun: compilers, by file name, are then not even loaded, so
// that their libraries stay out of the process.
enum class Purpose { kAny, kRun };
// The plug-ins in `folders`, sorted by name, then `files`. A folder that is not there has none.
BCTX_API Found FindPlugins(const std::vector<std::string>& folders,
                           const std::vector<std::string>& files, Purpose purpose = Purpose::kAny);

struct Blob {
  std::string bytes, entry;
  std::vector<manifest::Requirement> requirements;
  std::vector<manifest::KeyValue> options;
  manifest::WeightsKind weights = manifest::WeightsKind::kNone;
};
// What the plug-in promised is checked: sizes, counts, strings. Unimplemented: this backend or
// target does not take the partition.
Result<Blob> Compile(const Plugin& plugin, const bctx_compile_request& request);

// A loaded kernel; unloads itself with its last copy. Run is re-entrant.
class Kernel {
 public:
  static Result<Kernel> Load(const Plugin& plugin, std::span<const uint8_t> private_blob,
                             const std::string& entry,
                             const std::vector<manifest::KeyValue>& options);
  BCTX_API Status Run(bctx_run* run) const;

 private:
  struct State;
  explicit Kernel(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace backendctx::plugin
