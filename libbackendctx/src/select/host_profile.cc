// A host profile: of this machine, and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "backendctx/selection.h"
#include "base/text.h"
#include "select/cpu_features.h"

namespace backendctx {
namespace {

using nlohmann::json;
using Fact = HostProfile::Fact;

constexpr int kSchemaVersion = 1;
constexpr size_t kMaxBytes = 1u << 20;
constexpr size_t kMaxFacts = 4096;
constexpr int64_t kMaxInteger = int64_t{1} << 53;  // what every JSON reader holds exactly

Status Malformed(std::string what) {
  return Status(StatusCode::kMalformed, "host profile: " + std::move(what),
                {.field = "host profile"});
}

Result<std::string> ParseText(const std::string& key, const json& value) {
  const auto& text = value.get_ref<const std::string&>();
  if (base::IsCleanText(text) && text.size() <= 256) return text;
  return Malformed(fmt::format("{}: found \"{}\", expected a short text without control characters",
                               key, base::Printable(text, 60)));
}

Result<Fact> ParseSet(const std::string& key, const json& value) {
  if (value.size() > kMaxFacts) {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("host profile: {}: found {} values, expected at most {}", key,
                              value.size(), kMaxFacts));
  }
  std::set<std::string> set;
  for (const json& element : value) {
    if (!element.is_string()) {
      return Malformed(
          fmt::format("{}: found a {} in a set, expected text", key, element.type_name()));
    }
    BCTX_ASSIGN_OR_RETURN(std::string text, ParseText(key, element));
    set.insert(std::move(text));
  }
  return Fact(std::vector<std::string>(set.begin(), set.end()));
}

Result<Fact> ParseFact(const std::string& key, const json& value) {
  if (value.is_string()) {
    BCTX_ASSIGN_OR_RETURN(std::string text, ParseText(key, value));
    return Fact(std::move(text));
  }
  if (value.is_array()) return ParseSet(key, value);
  if (value.is_number_integer()) {
    // An unsigned number beyond int64_t would wrap in get<int64_t>.
    const bool fits =
        !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(kMaxInteger);
    const int64_t number = fits ? value.get<int64_t>() : kMaxInteger + 1;
    if (number <= kMaxInteger && number >= -kMaxInteger) return Fact(number);
    return Malformed(fmt::format("{}: found an integer beyond 2^53", key));
  }
  return Malformed(fmt::format("{}: found a {}, expected text, an integer or a list of texts", key,
                               value.type_name()));
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

}  // namespace

HostProfile HostProfile::Detect() {
  HostProfile profile;
  profile.facts["arch"] = select::CpuArchitecture();
  profile.facts["os"] = "linux";
  profile.facts["cpu.features"] = select::CpuFeatures();
  profile.facts["cpu.count"] = int64_t{std::thread::hardware_concurrency()};
  return profile;
}

Result<HostProfile> HostProfile::FromJson(const std::string& text) {
  BCTX_ASSIGN_OR_RETURN(const json document, ParseDocument(text));
  const auto version = document.find("schema_version");
  if (version == document.end() || !version->is_number_integer()) {
    return Malformed("schema_version: expected an integer");
  }
  if (*version != kSchemaVersion) {
    return Status(StatusCode::kUnsupportedVersion,
                  fmt::format("host profile: schema_version: found {}, expected {}",
                              version->dump(), kSchemaVersion));
  }
  const auto facts = document.find("facts");
  if (facts == document.end() || !facts->is_object()) return Malformed("facts: expected an object");
  if (facts->size() > kMaxFacts) {
    return Status(
        StatusCode::kResourceExhausted,
        fmt::format("host profile: found {} facts, expected at most {}", facts->size(), kMaxFacts));
  }
  HostProfile profile;
  for (const auto& [key, value] : facts->items()) {
    if (!base::IsCleanText(key) || key.empty() || key.size() > 256) {
      return Malformed(fmt::format("found \"{}\" as the name of a fact", base::Printable(key, 60)));
    }
    BCTX_ASSIGN_OR_RETURN(Fact fact, ParseFact(key, value));
    profile.facts.emplace(key, std::move(fact));
  }
  return profile;
}

std::string HostProfile::ToJson() const {
  nlohmann::ordered_json document;
  document["schema_version"] = kSchemaVersion;
  nlohmann::ordered_json& out = document["facts"] = nlohmann::ordered_json::object();
  for (const auto& [key, fact] : facts) {
    std::visit([&](const auto& value) { out[key] = value; }, fact);
  }
  // Facts are clean text; "replace" only keeps a hand-made profile from throwing here.
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace backendctx
