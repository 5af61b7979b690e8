// From a decision to running code. The order of the checks is the point of this file: a blob is
// read only for a context that was chosen, chosen only if its package is trusted and its partition
// is what was compiled, and handed to a driver only as a private copy that was compared with its
// digest.

#include "package/runtime.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "fmt/format.h"
#include "package/state.h"
#include "package/weight_table.h"

namespace backendctx {
namespace package {
namespace {

using Refusals = std::map<std::string, std::string>;  // context -> the driver's words

// Digests are spread evenly: any eight bytes of one are a hash.
struct DigestHash {
  size_t operator()(const Digest& digest) const {
    size_t hash = 0;
    std::memcpy(&hash, digest.bytes.data(), sizeof(hash));
    return hash;
  }
};

// What of a package is asked for once for each context, found in one step.
class Lookup {
 public:
  explicit Lookup(const Package& package) {
    const manifest::Manifest& manifest = package.manifest();
    partitions_.reserve(manifest.partitions.size());
    for (const manifest::Partition& partition : manifest.partitions) {
      partitions_.emplace(partition.id, Known{&partition, nullptr});
    }
    for (const Binding& binding : package.bindings()) {
      const auto known = partitions_.find(binding.partition);
      if (known != partitions_.end()) known->second.stale = &binding.stale;
    }
    if (!package.has_container()) return;
    for (const container::Entry& entry : package.state().reader->index().entries) {
      if (entry.kind == container::Kind::kBlob && entry.storage != container::Storage::kAbsent) {
        stored_.insert(entry.digest);
      }
    }
  }

  struct Known {
    const manifest::Partition* partition = nullptr;
    const std::string* stale = nullptr;
  };
  const Known& Find(const std::string& partition) const { return partitions_.at(partition); }
  bool IsStored(const Digest& blob) const { return stored_.contains(blob); }

 private:
  std::unordered_map<std::string_view, Known> partitions_;
  std::unordered_set<Digest, DigestHash> stored_;
};

// What is known of each context besides the manifest.
std::vector<Candidate> Candidates(const Package& package,
                                  const std::optional<std::vector<std::string>>& drivers,
                                  const Refusals& refused) {
  const Lookup lookup(package);
  std::vector<Candidate> candidates;
  candidates.reserve(package.manifest().contexts.size());
  for (const manifest::Context& context : package.manifest().contexts) {
    Candidate& candidate = candidates.emplace_back();
    const Lookup::Known& known = lookup.Find(context.partition);
    candidate.context = &context;
    candidate.partition = known.partition;
    candidate.present = lookup.IsStored(context.blob);
    if (known.stale != nullptr) candidate.stale = *known.stale;
    if (!package.trust().trusted) candidate.untrusted = package.trust().reason;
    if (const auto why = refused.find(context.id); why != refused.end()) {
      candidate.refused = why->second;
    }
    candidate.driver_found =
        !drivers || std::find(drivers->begin(), drivers->end(), context.backend) != drivers->end();
  }
  return candidates;
}

// Without a preference, or behind it, backends come in the order of the manifest's scopes.
Policy WithScopes(Policy policy, const manifest::Manifest& manifest) {
  for (const manifest::Scope& scope : manifest.scopes) {
    if (std::find(policy.backends.begin(), policy.backends.end(), scope.backend) ==
        policy.backends.end()) {
      policy.backends.push_back(scope.backend);
    }
  }
  return policy;
}

// The context's options, and what the user of the session sets of those that the driver takes.
std::vector<manifest::KeyValue> OptionsOf(const manifest::Context& context, const Policy& policy) {
  std::vector<manifest::KeyValue> options = context.options;
  const auto set = policy.load_options.find(context.backend);
  if (set == policy.load_options.end()) return options;
  for (const auto& [key, value] : set->second) {
    const auto same = std::find_if(options.begin(), options.end(),
                                   [&key = key](const auto& option) { return option.key == key; });
    if (same != options.end()) {
      same->value = value;
    } else {
      options.push_back({key, value});
    }
  }
  std::sort(options.begin(), options.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  return options;
}

// What makes two kernels the same one. Code that gets its weights when it is loaded is bound to the
// container that they came from.
std::string MemoKey(const Package& package, const manifest::Context& context,
                    const plugin::Plugin& driver, const std::vector<manifest::KeyValue>& options) {
  std::string key =
      context.blob.Hex() + '\n' + driver.path() + '\n' + driver.version() + '\n' + context.entry;
  for (const manifest::KeyValue& option : options) key += '\n' + option.key + '=' + option.value;
  if (context.weights == manifest::WeightsKind::kOffset ||
      context.weights == manifest::WeightsKind::kRefit) {
    key += '\n' + package.container_path() + '\n' + package.state().reader->index_digest().Hex() +
           '\n' + context.partition;
  }
  return key;
}

// Kernels live as long as the process: sessions come and go, code stays mapped once. So does what
// they are made of.
struct Kept {
  std::unique_ptr<std::pair<std::string, BoundWeights>> blob_and_weights;
  Package package;  // holds the container open
  plugin::Kernel kernel;
};

Result<plugin::Kernel> LoadOnce(const Package& package, const manifest::Context& context,
                                const plugin::Plugin& driver, const Policy& policy) {
  static std::mutex mutex;
  static auto* kernels = new std::map<std::string, Kept>;  // outlives static destructors
  const std::vector<manifest::KeyValue> options = OptionsOf(context, policy);
  // Compared with its digest before anything is looked up by it.
  BCTX_ASSIGN_OR_RETURN(std::string blob, package.ContextBytes(context.id));
  const std::lock_guard<std::mutex> lock(mutex);
  const std::string key = MemoKey(package, context, driver, options);
  if (const auto known = kernels->find(key); known != kernels->end()) return known->second.kernel;
  const manifest::Partition& partition = *package.manifest().FindPartition(context.partition);
  BCTX_ASSIGN_OR_RETURN(BoundWeights weights, BindWeights(package, context, partition));
  auto kept =
      std::make_unique<std::pair<std::string, BoundWeights>>(std::move(blob), std::move(weights));
  plugin::LoadRequest request;
  request.private_blob = base::AsBytes(kept->first);
  request.entry = context.entry;
  request.options = options;
  request.weights = kept->second.weights;
  request.weight_file = kept->second.file;
  request.threads = std::max(1u, std::thread::hardware_concurrency());
  request.inputs = partition.inputs.size();
  request.outputs = partition.outputs.size();
  BCTX_ASSIGN_OR_RETURN(plugin::Kernel kernel, plugin::Kernel::Load(driver, request));
  kernels->emplace(key, Kept{std::move(kept), package, kernel});
  return kernel;
}

// What a driver cannot do on this machine, for whatever reason, the body can; code that is not what
// it claims to be stops.
bool FallsBack(StatusCode code) {
  return code != StatusCode::kCorrupt && code != StatusCode::kMalformed &&
         code != StatusCode::kUnsafePath;
}

// Loads what `decisions` chose; a context that its driver refuses is added to `refused`.
Status LoadChosen(const Package& package, const Policy& policy,
                  const std::vector<plugin::Plugin>& drivers, Selection* selection,
                  Refusals* refused) {
  for (const Decision& decision : selection->decisions) {
    if (decision.outcome != Outcome::kChosen) continue;
    const manifest::Context* context = package.manifest().FindContext(decision.context);
    const plugin::Plugin* driver = plugin::FindDriver(drivers, context->backend);
    Result<plugin::Kernel> kernel = LoadOnce(package, *context, *driver, policy);
    if (kernel) {
      selection->loaded.push_back({context, package.manifest().FindPartition(context->partition),
                                   std::move(kernel).value()});
    } else if (FallsBack(kernel.error().code())) {
      (*refused)[context->id] = kernel.error().message();
    } else {
      return kernel.error().WithContext("context " + context->id);
    }
  }
  return OkStatus();
}

}  // namespace

Result<Selection> SelectAndLoad(const Package& package, const HostProfile& profile,
                                const Policy& policy, const std::vector<plugin::Plugin>& drivers) {
  std::vector<std::string> backends;
  for (const plugin::Plugin& driver : drivers) {
    if (driver.runs()) backends.push_back(driver.backend());
  }
  // What a driver refuses is rejected and the next best gets its turn: at most once per context.
  Refusals refused;
  while (true) {
    const size_t before = refused.size();
    Selection selection;
    std::vector<Candidate> candidates = Candidates(package, backends, refused);
    AskVendors(drivers, &candidates);
    selection.decisions =
        backendctx::Decide(candidates, profile, WithScopes(policy, package.manifest()));
    BCTX_RETURN_IF_ERROR(LoadChosen(package, policy, drivers, &selection, &refused));
    if (refused.size() == before) return selection;
  }
}

}  // namespace package

std::vector<Decision> Package::Decide(
    const HostProfile& profile, const Policy& policy,
    const std::optional<std::vector<std::string>>& drivers) const {
  return backendctx::Decide(package::Candidates(*this, drivers, {}), profile,
                            package::WithScopes(policy, manifest()));
}

}  // namespace backendctx
