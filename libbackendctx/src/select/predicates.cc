#include "select/predicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "select/version.h"

namespace backendctx::select {
namespace {

using manifest::Predicate;
using manifest::Requirement;
using Fact = HostProfile::Fact;

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

// A reason is made only for who asked for one: of a thousand candidates most lose.
template <typename... Arguments>
bool Fail(std::string* lack, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (lack != nullptr) *lack = fmt::format(format, std::forward<Arguments>(arguments)...);
  return false;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

bool EqualsText(const Fact& fact, const std::string& value) {
  if (const auto* text = std::get_if<std::string>(&fact)) return *text == value;
  const auto* number = std::get_if<int64_t>(&fact);
  return number != nullptr && fmt::format("{}", *number) == value;
}

std::string ShowFact(const Fact& fact) {
  if (const auto* text = std::get_if<std::string>(&fact)) return Show(*text);
  if (const auto* number = std::get_if<int64_t>(&fact)) return fmt::format("{}", *number);
  return "a set";
}

bool OneOf(const Requirement& requirement, const Fact& fact, std::string* lack) {
  if (std::holds_alternative<std::vector<std::string>>(fact)) {
    return Fail(lack, "the host has a set, expected one value");
  }
  for (const std::string& value : requirement.values) {
    if (EqualsText(fact, value)) return true;
  }
  return Fail(lack, "the host has {}, expected {}", ShowFact(fact), ShowExpected(requirement));
}

bool ContainsAll(const Requirement& requirement, const Fact& fact, std::string* lack) {
  const auto* set = std::get_if<std::vector<std::string>>(&fact);
  if (set == nullptr) return Fail(lack, "the host has no set");
  const auto has = [set](const std::string& value) {
    return std::binary_search(set->begin(), set->end(), value);
  };
  if (std::all_of(requirement.values.begin(), requirement.values.end(), has)) return true;
  if (lack == nullptr) return false;
  std::vector<std::string> missing;
  std::copy_if(requirement.values.begin(), requirement.values.end(), std::back_inserter(missing),
               [&](const std::string& value) { return !has(value); });
  return Fail(lack, "the host lacks {}", Show(missing));
}

bool AtLeast(const Requirement& requirement, const Fact& fact, std::string* lack) {
  const auto* found = std::get_if<int64_t>(&fact);
  const std::optional<int64_t> expected = ParseInteger(requirement.values[0]);
  if (found == nullptr || !expected) return Fail(lack, "cannot be compared as integers");
  if (*found >= *expected) return true;
  return Fail(lack, "the host has {}, expected {} or more", *found, *expected);
}

bool MultipleOf(const Requirement& requirement, const Fact& fact, std::string* lack) {
  const auto* found = std::get_if<int64_t>(&fact);
  const std::optional<int64_t> factor = ParseInteger(requirement.values[0]);
  if (found == nullptr || !factor || *factor < 1) {
    return Fail(lack, "cannot be compared as integers");
  }
  if (*found % *factor == 0) return true;
  return Fail(lack, "the host has {}, expected a multiple of {}", *found, *factor);
}

enum class Relation { kLess, kAtMost, kEqual, kNotEqual, kAtLeast, kMore };

// ">=2026.4" -> at least, "2026.4". Two letters before one, so that ">=" is not ">" and "=4".
bool SplitBound(std::string_view bound, Relation* relation, std::string_view* operand) {
  static constexpr std::pair<std::string_view, Relation> kRelations[] = {
      {">=", Relation::kAtLeast},  {"<=", Relation::kAtMost}, {"==", Relation::kEqual},
      {"!=", Relation::kNotEqual}, {">", Relation::kMore},    {"<", Relation::kLess}};
  for (const auto& [text, meaning] : kRelations) {
    if (!bound.starts_with(text)) continue;
    *relation = meaning;
    *operand = bound.substr(text.size());
    return true;
  }
  return false;
}

bool Holds(std::strong_ordering found, Relation relation) {
  switch (relation) {
    case Relation::kLess:
      return found < 0;
    case Relation::kAtMost:
      return found <= 0;
    case Relation::kEqual:
      return found == 0;
    case Relation::kNotEqual:
      return found != 0;
    case Relation::kAtLeast:
      return found >= 0;
    case Relation::kMore:
      return found > 0;
  }
  return false;
}

// Every bound against `found`; `parse` makes an operand one of its kind.
template <typename Value, typename Parse>
bool InBounds(const Requirement& requirement, const Value& found, const Parse& parse,
              const char* kind, const std::string& shown, std::string* lack) {
  for (const std::string& bound : requirement.values) {
    Relation relation = Relation::kEqual;
    std::string_view operand;
    const bool splits = SplitBound(bound, &relation, &operand);
    const std::optional<Value> expected = splits ? parse(operand) : std::nullopt;
    if (!expected) return Fail(lack, "{} is no bound on {}", Show(bound), kind);
    if (!Holds(found <=> *expected, relation)) {
      return Fail(lack, "the host has {}, expected {}", shown, ShowExpected(requirement));
    }
  }
  return true;
}

bool InRange(const Requirement& requirement, const Fact& fact, std::string* lack) {
  const auto* found = std::get_if<int64_t>(&fact);
  if (found == nullptr) return Fail(lack, "cannot be compared as integers");
  return InBounds(requirement, *found, ParseInteger, "integers",
                  lack == nullptr ? "" : ShowFact(fact), lack);
}

bool VersionInRange(const Requirement& requirement, const Fact& fact, std::string* lack) {
  const auto* text = std::get_if<std::string>(&fact);
  const std::optional<Version> found = text == nullptr ? std::nullopt : ParseVersion(*text);
  if (!found) return Fail(lack, "{} is no version", ShowFact(fact));
  return InBounds(requirement, *found, ParseVersion, "versions",
                  lack == nullptr ? "" : ShowFact(fact), lack);
}

bool IsSingle(Predicate predicate) {
  return predicate == Predicate::kEquals || predicate == Predicate::kAtLeast ||
         predicate == Predicate::kMultipleOf || predicate == Predicate::kVendorString;
}

bool CheckValues(const Requirement& requirement, std::string* lack) {
  const size_t count = requirement.values.size();
  if (count == 0) return Fail(lack, "the requirement has no value");
  if (count == 1 || !IsSingle(static_cast<Predicate>(requirement.predicate))) return true;
  return Fail(lack, "found {} values, expected one", count);
}

// Whether every number from 0 keeps the bound.
bool AlwaysHolds(std::string_view bound) {
  Relation relation = Relation::kEqual;
  std::string_view operand;
  if (!SplitBound(bound, &relation, &operand)) return false;
  const std::optional<int64_t> number = ParseInteger(operand);
  if (!number) return false;
  return (relation == Relation::kAtLeast && *number <= 0) ||
         (relation == Relation::kMore && *number < 0) ||
         (relation == Relation::kNotEqual && *number < 0);
}

}  // namespace

bool IsKnown(uint32_t predicate) {
  return predicate >= static_cast<uint32_t>(Predicate::kEquals) &&
         predicate <= static_cast<uint32_t>(Predicate::kVendorString);
}

std::string ShowExpected(const Requirement& requirement) {
  const auto predicate = static_cast<Predicate>(requirement.predicate);
  const char* words = "";
  if (predicate == Predicate::kOneOf && requirement.values.size() > 1) words = "one of ";
  if (predicate == Predicate::kAtLeast) words = "at least ";
  if (predicate == Predicate::kMultipleOf) words = "a multiple of ";
  return words + Show(requirement.values);
}

bool Meets(const Requirement& requirement, const Fact& fact, std::string* lack) {
  if (!IsKnown(requirement.predicate)) {
    return Fail(lack, "predicate {} is not known to this version", requirement.predicate);
  }
  if (!CheckValues(requirement, lack)) return false;
  switch (static_cast<Predicate>(requirement.predicate)) {
    case Predicate::kEquals:
    case Predicate::kOneOf:
      return OneOf(requirement, fact, lack);
    case Predicate::kContainsAll:
      return ContainsAll(requirement, fact, lack);
    case Predicate::kAtLeast:
      return AtLeast(requirement, fact, lack);
    case Predicate::kInRange:
      return InRange(requirement, fact, lack);
    case Predicate::kVersionInRange:
      return VersionInRange(requirement, fact, lack);
    case Predicate::kMultipleOf:
      return MultipleOf(requirement, fact, lack);
    case Predicate::kVendorString:
      return OneOf(requirement, fact, lack);
  }
  return false;
}

bool MeetsAlways(const Requirement& requirement) {
  if (!CheckValues(requirement, nullptr)) return false;
  const std::vector<std::string>& values = requirement.values;
  const std::optional<int64_t> number = ParseInteger(values[0]);
  switch (static_cast<Predicate>(requirement.predicate)) {
    case Predicate::kAtLeast:
      return number && *number <= 0;
    case Predicate::kInRange:
      return std::all_of(values.begin(), values.end(), AlwaysHolds);
    case Predicate::kMultipleOf:
      return number && *number == 1;
    default:
      return false;
  }
}

}  // namespace backendctx::select
