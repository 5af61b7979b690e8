// What a session does with a model, decided once: which package it is, which contexts are loaded,
// or what is wrong. Everything that can fail happens here, before any node is claimed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/package.h"
#include "package/flat_front.h"
#include "package/runtime.h"
#include "provider/matching.h"
#include "provider/options.h"

namespace backendctx::ort {

// The model as the session tells of it.
struct ModelFacts {
  // Of a model from bytes: "", or a file that is not there in the folder of its external data.
  std::string path;
  std::optional<std::string> tag;  // the metadata property that every front has
  // Of a session of ours: as it was opened, with the keys that it trusts, and the machine that is
  // judged instead of this one.
  std::optional<Package> package;
  std::optional<HostProfile> profile;
};

struct Plan {
  HostProfile profile;
  Policy policy;
  std::optional<Package> package;  // nothing: no package, or one that could not be read
  package::Selection selection;    // decisions change when a call turns out to be stale
  std::optional<WeightIndex> weights;
  // Where partitions may be no calls: in the metadata encoding, and where they cross another one.
  std::optional<package::FlatFront> flat;
  std::string declined;  // why no call of this model is looked at; empty: calls are
  std::string note;      // what the user should know of a model that runs compiled
  std::vector<std::string> left_out_plugins;

  const package::LoadedContext* Find(const std::string& partition) const;
};

// Corrupt, Malformed and what else must stop the session is the error; that nothing runs compiled
// is none. `strict` is judged by the caller, which sees the calls too.
Result<Plan> MakePlan(const ProviderOptions& options, const ModelFacts& model);

// One partition that does not run compiled and why, its context nearest to running first.
struct Fallback {
  std::string partition, reason, detail;
};
std::vector<Fallback> Fallbacks(const std::vector<Decision>& decisions);

// Keys in the folders that tools and provider look into.
std::vector<std::string> TrustFolders();

// "stale: operand 0 has element type 10" and, where several have the same reason, how many.
std::string Summarise(const std::vector<Fallback>& fallbacks);

}  // namespace backendctx::ort
