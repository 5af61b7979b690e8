#include "provider/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace backendctx::ort {
namespace {

Status Wrong(const std::string& key, const std::string& value, const char* expected) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("provider option {}: found '{}', expected {}", key, value, expected));
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> items;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    const size_t first = text.find_first_not_of(' ', start);
    if (first < end) {
      const size_t last = text.find_last_not_of(' ', end - 1);
      items.push_back(text.substr(first, last - first + 1));
    }
    start = end + 1;
  }
  return items;
}

Status ParseFlag(const std::string& key, const std::string& value, bool* out) {
  const bool yes = value == "1" || value == "true" || value == "on";
  const bool no = value == "0" || value == "false" || value == "off";
  if (!yes && !no) {
    return Wrong(key, value, "1 or 0 (or true or false, on or off)");
  }
  *out = yes;
  return OkStatus();
}

Status ParseIntegrity(const std::string& key, const std::string& value, ProviderOptions* out) {
  if (value != "contexts" && value != "full") return Wrong(key, value, "contexts or full");
  out->full_integrity = value == "full";
  return OkStatus();
}

Status ParseAliases(const std::string& key, const std::string& value, ProviderOptions* out) {
  if (value != "in-place") return Wrong(key, value, "in-place");
  out->in_place_aliases = true;
  return OkStatus();
}

Status ParseList(const std::string& key, const std::string& value, std::vector<std::string>* out) {
  *out = SplitList(value);
  return out->empty() ? Wrong(key, value, "names separated by commas") : OkStatus();
}

Status ParseReport(const std::string& key, const std::string& value, ProviderOptions* out) {
  out->report = value;
  return value.empty() ? Wrong(key, value, "a path") : OkStatus();
}

struct Option {
  const char* name;
  Status (*parse)(const std::string& key, const std::string& value, ProviderOptions* out);
};

constexpr Option kOptions[] = {
    {"aliases", ParseAliases},
    {"backends", [](const std::string& key, const std::string& value,
                    ProviderOptions* out) { return ParseList(key, value, &out->backends); }},
    {"integrity", ParseIntegrity},
    {"report", ParseReport},
    {"require-proof",
     [](const std::string& key, const std::string& value, ProviderOptions* out) {
       return ParseFlag(key, value, &out->require_proof);
     }},
    {"strict", [](const std::string& key, const std::string& value,
                  ProviderOptions* out) { return ParseFlag(key, value, &out->strict); }},
    {"trusted_keys",
     [](const std::string& key, const std::string& value, ProviderOptions* out) {
       return ParseList(key, value, &out->trusted_keys);
     }},
};

std::string KnownOptions() {
  std::string names;
  for (const Option& option : kOptions) names += std::string(option.name) + ", ";
  return names + "<backend>.<key>";
}

Status ParseOne(const std::string& key, const std::string& value, ProviderOptions* out) {
  for (const Option& option : kOptions) {
    if (key == option.name) return option.parse(key, value, out);
  }
  const size_t dot = key.find('.');
  if (dot != std::string::npos && dot != 0 && dot + 1 != key.size()) {
    out->backend_options[key.substr(0, dot)][key.substr(dot + 1)] = value;
    return OkStatus();
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("provider option {}: is not known; known are {}", key, KnownOptions()));
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

KeyValues OwnEntries(const KeyValues& session_entries, const std::string& provider) {
  const std::string prefix = "ep." + Lower(provider) + ".";
  KeyValues own;
  for (const auto& [key, value] : session_entries) {
    if (Lower(key.substr(0, prefix.size())) == prefix) own[key.substr(prefix.size())] = value;
  }
  return own;
}

Result<ProviderOptions> ParseOptions(const KeyValues& given) {
  ProviderOptions options;
  for (const auto& [key, value] : given) BCTX_RETURN_IF_ERROR(ParseOne(key, value, &options));
  return options;
}

std::vector<std::string> TrustFolders(std::string (*variable)(const char* name)) {
  std::vector<std::string> folders = {"/etc/backendctx/trust.d"};
  std::string config = variable("XDG_CONFIG_HOME");
  // The XDG specification: a relative path is to be ignored.
  if (!config.starts_with('/')) {
    const std::string home = variable("HOME");
    config = home.starts_with('/') ? home + "/.config" : "";
  }
  if (!config.empty()) folders.push_back(config + "/backendctx/trust.d");
  return folders;
}

}  // namespace backendctx::ort
