// What verbs that write packages share: the key to sign with, what proofs are run with, and what is
// said of what was written.
#pragma once

#include <backendctx/change.h>
#include <backendctx/pack.h>
#include <backendctx/package.h>
#include <backendctx/trust.h>

#include <optional>
#include <string>
#include <vector>

#include "tools_common/command_line.h"
#include "tools_common/json.h"

namespace backendctx::tools {

struct KeyFlags {
  std::string file, variable;
  bool no_sign = false;
};
void AddKeyFlags(CLI::App* verb, KeyFlags* flags);
// Nothing under --no-sign, and for a run that writes nothing and would have to make a key.
Result<std::optional<SigningKey>> ChooseKey(const KeyFlags& flags, bool writes_nothing);

// Whether these could be parts of a new package: open, and signed by a trusted key or, where that
// is allowed, by nobody. A glance before a key is made; the library looks at every byte.
bool MayChange(const std::vector<std::string>& packages, const OpenOptions& open,
               bool allow_unsigned);

// Fills in what is found; `ort_library`: the flag's file, "none", or "" for the one that is found.
// Io: a file that is not there.
Status FindProofTools(ProofTools* tools);

// A plug-in that was asked for and cannot be had is an error; others are only left out.
Status CheckPlugins(const std::vector<std::string>& files);

// "by key 9ca8...", or what it means that there is none.
std::string SignedWords(const std::string& signer);
// The keys "front", "container" and "signed_by" of a report.
void AddWritten(const Written& written, const std::string& signer, Json* report);

// -o, --force and --json, as every verb that changes a package has them.
void AddChangeFlags(CLI::App* verb, std::string* output, bool* force, bool* json);

}  // namespace backendctx::tools
