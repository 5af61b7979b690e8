// Bytes: views of them, little-endian numbers, hexadecimal and base64 text.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace backendctx::base {

using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The number at `bytes`, which has at least sizeof(T) of them, whatever the machine's byte order.
template <std::unsigned_integral T>
T LoadLittle(const uint8_t* bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{bytes[i]} << (8 * i);
  return static_cast<T>(value);
}

template <std::unsigned_integral T>
void StoreLittle(T value, uint8_t* bytes) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes[i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
  }
}

template <std::unsigned_integral T>
void AppendLittle(T value, std::string* out) {
  uint8_t bytes[sizeof(T)];
  StoreLittle(value, bytes);
  out->append(reinterpret_cast<const char*>(bytes), sizeof(T));
}

std::string Hex(ByteView bytes);  // lower case
// An even number of lower-case digits, else nothing: one spelling for one value.
std::optional<std::string> FromHex(std::string_view hex);

std::string Base64(ByteView bytes);  // RFC 4648, with padding
// Canonical base64 only: padding present, unused bits zero, no white space.
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace backendctx::base
