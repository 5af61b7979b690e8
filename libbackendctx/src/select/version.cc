#include "select/version.h"

#include <charconv>

namespace backendctx::select {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool TakeNumber(std::string_view* text, uint64_t* number) {
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(stop - text->data()));
  return true;
}

struct Stage {
  std::string_view word;
  int stage;
};
constexpr Stage kStages[] = {{"dev", -4}, {"a", -3},  {"alpha", -3}, {"b", -2},      {"beta", -2},
                             {"c", -1},   {"rc", -1}, {"pre", -1},   {"preview", -1}};

bool EqualWord(std::string_view found, std::string_view word) {
  if (found.size() != word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (Lower(found[i]) != word[i]) return false;
  }
  return true;
}

bool IsSeparator(char c) { return c == '.' || c == '-' || c == '_'; }

// What stands behind the numbers: a pre-release when its first word is one of the list, else a note
// about the build, which does not count.
void ReadSuffix(std::string_view suffix, Version* version) {
  if (!suffix.empty() && IsSeparator(suffix.front())) suffix.remove_prefix(1);
  size_t letters = 0;
  while (letters < suffix.size() && IsLetter(suffix[letters])) ++letters;
  for (const Stage& stage : kStages) {
    if (!EqualWord(suffix.substr(0, letters), stage.word)) continue;
    suffix.remove_prefix(letters);
    uint64_t number = 0;
    if (suffix.size() > 1 && IsSeparator(suffix.front()) && IsDigit(suffix[1])) {
      suffix.remove_prefix(1);
    }
    version->stage = stage.stage;
    if (!suffix.empty() && TakeNumber(&suffix, &number)) version->stage_number = number;
    return;
  }
}

}  // namespace

std::optional<Version> ParseVersion(std::string_view text) {
  Version version;
  for (size_t i = 0; i < kMaxVersionNumbers; ++i) {
    if (text.empty() || !IsDigit(text.front())) return std::nullopt;
    if (!TakeNumber(&text, &version.numbers[i])) return std::nullopt;
    const bool more = text.size() > 1 && text[0] == '.' && IsDigit(text[1]);
    if (!more) {
      ReadSuffix(text, &version);
      return version;
    }
    text.remove_prefix(1);
  }
  return std::nullopt;
}

}  // namespace backendctx::select
