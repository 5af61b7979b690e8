// Backend plug-ins as C++ values: found, loaded, asked for their table, called without surprises.
//
// A plug-in is a shared object "libbctx_<backend>_compiler.so", "libbctx_<backend>_driver.so" or
// "libbctx_<backend>.so" ('-' in the backend's name written '_'); one that cannot be loaded, lacks
// the symbol, speaks another ABI version or has an impossible table is left out with the reason.
//
// Threads: immutable after construction; calls go through as plugin_abi.h says.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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
  BCTX_API const bctx_plugin& table() const;
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

// The first that compiles for, or runs blobs of, a backend; null: none does.
const Plugin* FindCompiler(const std::vector<Plugin>& plugins, const std::string& backend);
BCTX_API const Plugin* FindDriver(const std::vector<Plugin>& plugins, const std::string& backend);

// What a backend says that it can take of a graph.
struct Claim {
  std::vector<size_t> nodes;  // ascending
  bool whole = false;         // as one partition or not at all
};
struct Offer {
  std::vector<Claim> claims;  // without a node in common
  std::vector<std::pair<size_t, std::string>> refusals;
};
// Unimplemented: the backend has no offers to make. Internal: it claims nodes that it was not
// offered, or one twice.
Result<Offer> AskOffer(const Plugin& plugin, const bctx_offer_request& request);

// The label that a blob's own format carries; nothing where the vendor's code cannot tell.
Result<std::optional<std::string>> LabelOf(const Plugin& plugin, std::string_view blob);
// Host profile entries of a backend's own, sorted by key; none where it has nothing to say.
Result<std::vector<manifest::KeyValue>> FactsOf(const Plugin& plugin);
// The vendor's verdict on a label; kNotApplicable where it gives none.
struct Judgement {
  bctx_verdict verdict = BCTX_NOT_APPLICABLE;
  std::string reason;
};
Result<Judgement> JudgeLabel(const Plugin& plugin, const std::string& label);

struct Blob {
  std::string bytes, entry;
  std::vector<manifest::Requirement> requirements;  // the label is one of them
  std::vector<manifest::KeyValue> options;
  manifest::WeightsKind weights = manifest::WeightsKind::kNone;
  std::string note;  // empty: none
};
// What the plug-in promised is checked: sizes, counts, strings. Unimplemented: this backend or
// target does not take the partition.
Result<Blob> Compile(const Plugin& plugin, const bctx_compile_request& request);

// What a kernel is made of. Everything in it must outlive the kernel.
struct LoadRequest {
  std::span<const uint8_t> private_blob;
  std::string entry;
  std::vector<manifest::KeyValue> options;
  std::vector<bctx_bound_weight> weights;  // of blobs that refit or point at weights
  std::string weight_file;                 // "": none holds them all
  size_t threads = 1;
  size_t inputs = 0, outputs = 0;  // of the partition
};

// A loaded kernel; unloads itself with its last copy. Run is re-entrant.
class Kernel {
 public:
  static Result<Kernel> Load(const Plugin& plugin, const LoadRequest& request);
  BCTX_API Status Run(bctx_run* run) const;

 private:
  struct State;
  explicit Kernel(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace backendctx::plugin
