// Packages made out of packages: proofs run on another machine, contexts of several united.
//
//   ChangeOptions options;
//   options.open.trusted_keys = keys;
//   options.key = &key;
//   Result<ProveReport> report = Prove("package.onnx", "proved.onnx", options);
//
// Both write a new manifest and so a new signature, the caller's. What they are given is checked to
// the last byte first, and must be signed by a key that the caller trusts: whoever signs the result
// vouches for all of it. Nothing is compiled; contents are copied as they are stored.
//
// Errors: Untrusted (after every integrity check), Corrupt, Malformed, InvalidArgument (an output
// that exists or is an input; packages of different graphs, with the first difference),
// Unimplemented (partitions that cross, in the function encoding), Io.
//
// Threads: calls do not share state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/pack.h"
#include "backendctx/package.h"
#include "backendctx/status.h"
#include "backendctx/trust.h"

namespace backendctx {

struct ChangeOptions {
  OpenOptions open;             // whom the caller trusts
  bool allow_unsigned = false;  // Merge: take packages that nobody signed; their code is not run
  const SigningKey* key = nullptr;  // null: the result is not signed
  bool force = false;
  bool prove_again = false;                 // Prove: contexts that passed elsewhere, too
  std::vector<std::string> plugin_folders;  // empty: the folder of the library
  std::vector<std::string> plugins;         // more, by file
  ProofTools proof;
  std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress;
};

struct Written {
  std::string front, container;
  uint64_t front_bytes = 0, container_bytes = 0;
};

struct ProofChange {
  std::string context, target;
  bool before = false, after = false;  // passed
  std::string reason;                  // why it was not run here
  double largest_error = 0;            // relative to the output's scale, when it was run
};
struct ProveReport {
  Written written;
  std::vector<ProofChange> proofs;   // one for each context
  std::vector<std::string> dropped;  // contexts that ran and were wrong: why
};

// Runs the proofs of contexts that this machine (or an emulator at hand) can run. A context that
// ran and was wrong is left out of the result.
BCTX_API Result<ProveReport> Prove(const std::string& package, const std::string& output,
                                   const ChangeOptions& options);

struct MergedContext {
  std::string context, from;  // id in the result; the package that it comes from
  std::string replaces;       // "" or what the context of an earlier package lacked: "proof"
};
struct MergeReport {
  Written written;
  std::vector<MergedContext> added;
  std::vector<std::string> left_out;  // contexts that an earlier package has in another build: why
};

// Name and everything that several packages say comes from the first; contexts, scopes and aliases
// are united. Where two have the same code for the same partition, the one that was proved stays.
BCTX_API Result<MergeReport> Merge(const std::vector<std::string>& packages,
                                   const std::string& output, const ChangeOptions& options);

}  // namespace backendctx
