// Versions and how they are ordered; docs/format.md, "Versions", is the standard.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace backendctx::select {

inline constexpr size_t kMaxVersionNumbers = 8;

// "2026.4.0-19876-abc": numbers 2026, 4, 0. "1.0rc2": numbers 1, 0, before the release of them.
struct Version {
  std::array<uint64_t, kMaxVersionNumbers> numbers{};  // those that the text lacks are 0
  int stage = 0;              // of pre-releases below 0: -4 dev, -3 alpha, -2 beta, -1 candidate
  uint64_t stage_number = 0;  // 2 of "rc2"
  auto operator<=>(const Version&) const = default;
};

// Nothing: not a version (it does not begin with a number, has more than eight of them, or one that
// 64 bits do not hold).
std::optional<Version> ParseVersion(std::string_view text);

}  // namespace backendctx::select
