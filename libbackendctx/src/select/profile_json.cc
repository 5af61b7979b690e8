// A host profile out of JSON: strict, so that a slip of the pen is an error and no lost
// requirement.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "backendctx/selection.h"
#include "base/text.h"
#include "select/profile_keys.h"
#include "select/version.h"

namespace backendctx {
namespace {

using nlohmann::json;
using select::FactKind;
using select::FactRule;
using Fact = HostProfile::Fact;

constexpr size_t kMaxBytes = 1u << 20;
constexpr size_t kMaxFacts = 4096;
constexpr size_t kMaxDevices = 256;
constexpr size_t kMaxText = 256;
constexpr size_t kMaxVendorText = 16384;           // opaque, and some are whole documents
constexpr int64_t kMaxInteger = int64_t{1} << 53;  // what every JSON reader holds exactly

Status Malformed(std::string what) {
  return Status(StatusCode::kMalformed, "host profile: " + std::move(what),
                {.field = "host profile"});
}

Status CheckSize(const std::string& at, size_t size, size_t most, const char* what) {
  if (size <= most) return OkStatus();
  return Status(
      StatusCode::kResourceExhausted,
      fmt::format("host profile: {}: found {} {}, expected at most {}", at, size, what, most));
}

Result<std::string> ParseText(const std::string& at, const json& value, size_t limit = kMaxText) {
  if (!value.is_string()) {
    return Malformed(fmt::format("{}: found a {}, expected text", at, value.type_name()));
  }
  const auto& text = value.get_ref<const std::string&>();
  if (base::IsCleanText(text) && text.size() <= limit) return text;
  return Malformed(fmt::format("{}: found \"{}\", expected a short text without control characters",
                               at, base::Printable(text, 60)));
}

Result<std::string> ParseVersion(const std::string& at, const json& value) {
  BCTX_ASSIGN_OR_RETURN(std::string text, ParseText(at, value));
  if (select::ParseVersion(text)) return text;
  return Malformed(fmt::format("{}: found \"{}\", expected a version such as 2026.4.0", at,
                               base::Printable(text, 60)));
}

Result<Fact> ParseSet(const std::string& at, const json& value) {
  if (!value.is_array()) {
    return Malformed(
        fmt::format("{}: found a {}, expected a list of texts", at, value.type_name()));
  }
  BCTX_RETURN_IF_ERROR(CheckSize(at, value.size(), kMaxFacts, "values"));
  std::set<std::string> set;
  for (const json& element : value) {
    if (!element.is_string()) {
      return Malformed(
          fmt::format("{}: found a {} in a set, expected text", at, element.type_name()));
    }
    BCTX_ASSIGN_OR_RETURN(std::string text, ParseText(at, element));
    set.insert(std::move(text));
  }
  return Fact(std::vector<std::string>(set.begin(), set.end()));
}

Result<Fact> ParseInteger(const std::string& at, const json& value, int64_t least) {
  if (!value.is_number_integer()) {
    return Malformed(fmt::format("{}: found a {}, expected an integer", at, value.type_name()));
  }
  // An unsigned number beyond int64_t would wrap in get<int64_t>.
  const bool fits =
      !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(kMaxInteger);
  const int64_t number = fits ? value.get<int64_t>() : kMaxInteger + 1;
  if (number > kMaxInteger || number < -kMaxInteger) {
    return Malformed(fmt::format("{}: found an integer beyond 2^53", at));
  }
  if (number >= least) return Fact(number);
  return Malformed(fmt::format("{}: found {}, expected {} or more", at, number, least));
}

Result<Fact> ParseAs(FactKind kind, const std::string& at, const json& value) {
  switch (kind) {
    case FactKind::kText: {
      BCTX_ASSIGN_OR_RETURN(std::string text, ParseText(at, value));
      return Fact(std::move(text));
    }
    case FactKind::kVersion: {
      BCTX_ASSIGN_OR_RETURN(std::string text, ParseVersion(at, value));
      return Fact(std::move(text));
    }
    case FactKind::kCount:
      return ParseInteger(at, value, 0);
    case FactKind::kSet:
      return ParseSet(at, value);
  }
  return Malformed(at + ": is not known");
}

const FactRule* FindRule(std::span<const FactRule> rules, const std::string& name) {
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const FactRule& known) { return known.name == name; });
  return rule == rules.end() ? nullptr : &*rule;
}

// A fact that this version has no rule for is whatever it is: packages may ask for it.
Result<Fact> ParseFact(const std::string& key, const json& value) {
  if (const FactRule* rule = FindRule(select::kHostFacts, key)) {
    return ParseAs(rule->kind, key, value);
  }
  if (value.is_string()) return ParseAs(FactKind::kText, key, value);
  if (value.is_array()) return ParseSet(key, value);
  if (value.is_number_integer()) return ParseInteger(key, value, -kMaxInteger);
  return Malformed(fmt::format("{}: found a {}, expected text, an integer or a list of texts", key,
                               value.type_name()));
}

Status CheckName(const std::string& at, const std::string& name) {
  if (base::IsCleanText(name) && !name.empty() && name.size() <= kMaxText) return OkStatus();
  return Malformed(fmt::format("{}: found \"{}\" as a name", at, base::Printable(name, 60)));
}

// The document, or why it is none: syntax, a repeated key, nesting that no profile has.
Result<json> ParseDocument(const std::string& text) {
  if (text.size() > kMaxBytes) {
    return Status(
        StatusCode::kResourceExhausted,
        fmt::format("host profile: found {} bytes, expected at most {}", text.size(), kMaxBytes));
  }
  if (text.starts_with("\xef\xbb\xbf")) return Malformed("found a byte order mark, expected JSON");
  std::string wrong;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      keys.resize(static_cast<size_t>(std::max(depth, 0)) + 1);
      keys.back().clear();
    } else if (event == json::parse_event_t::key && !keys.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      keys.resize(static_cast<size_t>(std::max(depth, 1)));
      if (!keys.back().insert(key).second) {
        wrong = fmt::format("key \"{}\" is there twice", base::Printable(key, 60));
      }
    }
    return depth <= 8;
  };
  json document = json::parse(text, watch, /*allow_exceptions=*/false);
  if (document.is_discarded()) return Malformed("found text that is no JSON");
  if (!wrong.empty()) return Malformed(std::move(wrong));
  if (!document.is_object()) return Malformed("expected one JSON object");
  return document;
}

// The member `name`, an object of at most so many; null when it is not there.
Result<const json*> FindObject(const json& document, const char* name) {
  const auto member = document.find(name);
  if (member == document.end()) return nullptr;
  if (!member->is_object()) {
    return Malformed(fmt::format("{}: found a {}, expected an object", name, member->type_name()));
  }
  BCTX_RETURN_IF_ERROR(CheckSize(name, member->size(), kMaxFacts, "members"));
  return &*member;
}

Status TakeFacts(const json& document, HostProfile* profile) {
  BCTX_ASSIGN_OR_RETURN(const json* const facts, FindObject(document, "facts"));
  if (facts == nullptr) return Malformed("facts: expected an object");
  for (const auto& [key, value] : facts->items()) {
    BCTX_RETURN_IF_ERROR(CheckName("facts", key));
    for (const auto& [prefix, place] : select::kReservedPrefixes) {
      if (key.starts_with(prefix)) {
        return Malformed(fmt::format("facts: {}: belongs in {}", key, place));
      }
    }
    BCTX_ASSIGN_OR_RETURN(Fact fact, ParseFact(key, value));
    profile->facts.emplace(key, std::move(fact));
  }
  return OkStatus();
}

// Members of an object as facts "PREFIX.NAME".
template <typename Parse>
Status TakeTexts(const json& document, const char* member, std::string_view prefix,
                 const Parse& parse, HostProfile* profile) {
  BCTX_ASSIGN_OR_RETURN(const json* const texts, FindObject(document, member));
  if (texts == nullptr) return OkStatus();
  for (const auto& [name, value] : texts->items()) {
    BCTX_RETURN_IF_ERROR(CheckName(member, name));
    BCTX_ASSIGN_OR_RETURN(std::string text, parse(fmt::format("{}.{}", member, name), value));
    profile->facts.emplace(fmt::format("{}{}", prefix, name), std::move(text));
  }
  return OkStatus();
}

bool IsKind(const std::string& text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string Names(std::span<const FactRule> rules) {
  std::string names = "kind";
  for (const FactRule& rule : rules) names += fmt::format(", {}", rule.name);
  return names;
}

Result<HostProfile::Device> ParseDevice(const std::string& at, const json& value) {
  if (!value.is_object()) {
    return Malformed(fmt::format("{}: found a {}, expected an object", at, value.type_name()));
  }
  HostProfile::Device device;
  for (const auto& [name, member] : value.items()) {
    const std::string field = fmt::format("{}.{}", at, base::Printable(name, 60));
    if (name == "kind") {
      BCTX_ASSIGN_OR_RETURN(device.kind, ParseText(field, member));
      continue;
    }
    const FactRule* rule = FindRule(select::kDeviceFacts, name);
    if (rule == nullptr) {
      return Malformed(
          fmt::format("{}: is not known; known are {}", field, Names(select::kDeviceFacts)));
    }
    BCTX_ASSIGN_OR_RETURN(Fact fact, ParseAs(rule->kind, field, member));
    device.facts.emplace(name, std::move(fact));
  }
  if (IsKind(device.kind)) return device;
  return Malformed(fmt::format("{}.kind: found \"{}\", expected 1 to 32 of a-z, 0-9 and -", at,
                               base::Printable(device.kind, 60)));
}

Status TakeDevices(const json& document, HostProfile* profile) {
  const auto devices = document.find("devices");
  if (devices == document.end()) return OkStatus();
  if (!devices->is_array()) {
    return Malformed(fmt::format("devices: found a {}, expected a list", devices->type_name()));
  }
  BCTX_RETURN_IF_ERROR(CheckSize("devices", devices->size(), kMaxDevices, "devices"));
  for (const json& value : *devices) {
    const std::string at = fmt::format("devices[{}]", profile->devices.size());
    BCTX_ASSIGN_OR_RETURN(HostProfile::Device device, ParseDevice(at, value));
    profile->devices.push_back(std::move(device));
  }
  return OkStatus();
}

Status CheckMembers(const json& document) {
  for (const auto& [name, value] : document.items()) {
    const auto& known = select::kMembers;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return Malformed(fmt::format("{}: is not known; known are {}", base::Printable(name, 60),
                                 fmt::join(known, ", ")));
  }
  return OkStatus();
}

Status CheckVersion(const json& document) {
  const auto version = document.find("schema_version");
  if (version == document.end() || !version->is_number_integer()) {
    return Malformed("schema_version: expected an integer");
  }
  if (*version == select::kProfileVersion) return OkStatus();
  return Status(StatusCode::kUnsupportedVersion,
                fmt::format("host profile: schema_version: found {}, expected {}", version->dump(),
                            select::kProfileVersion));
}

}  // namespace

Result<HostProfile> HostProfile::FromJson(const std::string& text) {
  BCTX_ASSIGN_OR_RETURN(const json document, ParseDocument(text));
  BCTX_RETURN_IF_ERROR(CheckVersion(document));
  BCTX_RETURN_IF_ERROR(CheckMembers(document));
  HostProfile profile;
  BCTX_RETURN_IF_ERROR(TakeFacts(document, &profile));
  BCTX_RETURN_IF_ERROR(TakeDevices(document, &profile));
  BCTX_RETURN_IF_ERROR(
      TakeTexts(document, "libraries", select::kLibraryPrefix, ParseVersion, &profile));
  const auto vendor_text = [](const std::string& at, const json& value) {
    return ParseText(at, value, kMaxVendorText);
  };
  BCTX_RETURN_IF_ERROR(TakeTexts(document, "vendor", select::kVendorPrefix, vendor_text, &profile));
  return profile;
}

}  // namespace backendctx
