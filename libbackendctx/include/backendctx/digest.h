// A SHA-256 digest: the name of every content of a package (FIPS 180-4).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backendctx/export.h"

namespace backendctx {

struct Digest {
  std::array<uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  BCTX_API std::string Hex() const;  // 64 lower-case digits
  // Exactly 64 lower-case hexadecimal digits, else nothing.
  BCTX_API static std::optional<Digest> FromHex(std::string_view hex);
};

}  // namespace backendctx
