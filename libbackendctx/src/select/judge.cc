// Requirements against facts.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "backendctx/selection.h"
#include "base/text.h"

namespace backendctx {
namespace {

using manifest::Predicate;
using manifest::Requirement;
using Fact = HostProfile::Fact;

// What one requirement lacks; nothing when it is met.
using Lack = std::optional<std::string>;

std::string Show(const std::string& text) { return base::Printable(text, 80); }

std::string Show(const std::vector<std::string>& values) {
  std::string shown;
  for (const std::string& value : values) {
    shown += shown.empty() ? "" : ", ";
    shown += Show(value);
    if (shown.size() > 300) return shown + ", ...";
  }
  return shown;
}

std::optional<int64_t> ParseInteger(const std::string& text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// A fact as the text that "equals" and "one of" compare with.
std::optional<std::string> FactText(const Fact& fact) {
  if (const auto* text = std::get_if<std::string>(&fact)) return *text;
  if (const auto* number = std::get_if<int64_t>(&fact)) return fmt::format("{}", *number);
  return std::nullopt;
}

Lack OneOf(const Requirement& requirement, const Fact& fact) {
  const std::optional<std::string> found = FactText(fact);
  if (!found)
    return fmt::format("{}: the host has a set, expected one value", Show(requirement.key));
  const auto& values = requirement.values;
  if (std::find(values.begin(), values.end(), *found) != values.end()) return std::nullopt;
  return fmt::format("{}: the host has {}, expected {}{}", Show(requirement.key), Show(*found),
                     values.size() > 1 ? "one of " : "", Show(values));
}

Lack ContainsAll(const Requirement& requirement, const Fact& fact) {
  const auto* set = std::get_if<std::vector<std::string>>(&fact);
  if (set == nullptr) return fmt::format("{}: the host has no set", Show(requirement.key));
  std::vector<std::string> missing;
  for (const std::string& value : requirement.values) {
    if (!std::binary_search(set->begin(), set->end(), value)) missing.push_back(value);
  }
  if (missing.empty()) return std::nullopt;
  return fmt::format("{}: the host lacks {}", Show(requirement.key), Show(missing));
}

Lack AtLeast(const Requirement& requirement, const Fact& fact) {
  const auto* found = std::get_if<int64_t>(&fact);
  const std::optional<int64_t> expected = ParseInteger(requirement.values[0]);
  if (found == nullptr || !expected) {
    return fmt::format("{}: cannot be compared as integers", Show(requirement.key));
  }
  if (*found >= *expected) return std::nullopt;
  return fmt::format("{}: the host has {}, expected {} or more", Show(requirement.key), *found,
                     *expected);
}

Lack Check(const Requirement& requirement, const HostProfile& profile) {
  const auto fact = profile.facts.find(requirement.key);
  if (fact == profile.facts.end()) {
    return fmt::format("{}: not known of the host, expected {}", Show(requirement.key),
                       Show(requirement.values));
  }
  if (requirement.values.empty()) {
    return fmt::format("{}: the requirement has no value", Show(requirement.key));
  }
  const bool single = requirement.values.size() == 1;
  switch (static_cast<Predicate>(requirement.predicate)) {
    case Predicate::kEquals:
      if (single) return OneOf(requirement, fact->second);
      break;
    case Predicate::kOneOf:
      return OneOf(requirement, fact->second);
    case Predicate::kContainsAll:
      return ContainsAll(requirement, fact->second);
    case Predicate::kAtLeast:
      if (single) return AtLeast(requirement, fact->second);
      break;
    default:
      return fmt::format("{}: predicate {} is not known to this version", Show(requirement.key),
                         requirement.predicate);
  }
  return fmt::format("{}: found {} values, expected one", Show(requirement.key),
                     requirement.values.size());
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNotApplicable:
      return "not-applicable";
    case Verdict::kOptimal:
      return "optimal";
    case Verdict::kRecompilePreferred:
      return "recompile-preferred";
    case Verdict::kUnsupported:
      return "unsupported";
  }
  return "unsupported";
}

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kChosen:
      return "chosen";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kStale:
      return "stale";
    case Outcome::kAbsent:
      return "absent";
  }
  return "rejected";
}

Verdict Judge(const std::vector<Requirement>& requirements, const HostProfile& profile,
              std::string* detail) {
  for (const Requirement& requirement : requirements) {
    if (Lack lack = Check(requirement, profile)) {
      if (detail != nullptr) *detail = std::move(*lack);
      return Verdict::kUnsupported;
    }
  }
  if (detail != nullptr) detail->clear();
  return Verdict::kOptimal;
}

}  // namespace backendctx
