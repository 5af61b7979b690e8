#include "backendctx/digest.h"

#include <algorithm>

#include "base/bytes.h"

namespace backendctx {

std::string Digest::Hex() const { return base::Hex(bytes); }

std::optional<Digest> Digest::FromHex(std::string_view hex) {
  Digest digest;
  if (hex.size() != 2 * digest.bytes.size()) return std::nullopt;
  const std::optional<std::string> raw = base::FromHex(hex);
  if (!raw) return std::nullopt;
  std::transform(raw->begin(), raw->end(), digest.bytes.begin(),
                 [](char c) { return static_cast<uint8_t>(c); });
  return digest;
}

}  // namespace backendctx
