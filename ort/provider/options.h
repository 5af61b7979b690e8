// What a user may say when the provider is added to a session (CLI.md, "Running").
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backendctx/status.h"

namespace backendctx::ort {

struct ProviderOptions {
  std::vector<std::string> backends;      // in order of preference
  std::vector<std::string> trusted_keys;  // files or folders, besides the trust folders
  bool strict = false;                    // any fallback is an error
  bool require_proof = false;
  bool full_integrity = false;  // every byte, not only what is loaded
  bool in_place_aliases = false;
  std::string report;  // a path, or empty
  // A plug-in's own: backend -> key -> value.
  std::map<std::string, std::map<std::string, std::string>> backend_options;
};

using KeyValues = std::map<std::string, std::string>;

// The session's configuration entries that are this provider's, without ONNX Runtime's prefix
// "ep.<name in lower case>.", under which it files the options given with the devices.
KeyValues OwnEntries(const KeyValues& session_entries, const std::string& provider);

// InvalidArgument for an unknown option (the known ones are named) or a value that is none.
Result<ProviderOptions> ParseOptions(const KeyValues& given);

// Where trust lists are looked for, in order. `variable` reads the environment.
std::vector<std::string> TrustFolders(std::string (*variable)(const char* name));

}  // namespace backendctx::ort
