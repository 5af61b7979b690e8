#include "base/text.h"

#include <fmt/format.h>

#include <cstdint>

namespace backendctx::base {
namespace {

// The length of the character at the start of `text` and its code point; 0 where it is no UTF-8.
size_t Decode(std::string_view text, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    *code = lead;
    return 1;
  }
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  uint32_t value = lead & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3fu);
  }
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff) return 0;
  if (value >= 0xd800 && value <= 0xdfff) return 0;
  *code = value;
  return length;
}

bool IsControl(uint32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

template <typename Accept>
bool EveryCharacter(std::string_view text, Accept accept) {
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t length = Decode(text, &code);
    if (length == 0 || !accept(code)) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  return EveryCharacter(text, [](uint32_t) { return true; });
}

bool IsCleanText(std::string_view text) {
  // Nearly every name is plain ASCII: one pass without branches decides those.
  unsigned others = 0;
  for (const char c : text) others |= static_cast<uint8_t>(c - 0x20) >= 0x7f - 0x20 ? 1u : 0u;
  if (others == 0) return true;
  return EveryCharacter(text, [](uint32_t code) { return !IsControl(code); });
}

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= limit) return out + "...";
    uint32_t code = 0;
    const size_t length = Decode(text, &code);
    if (length == 0 || IsControl(code)) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace backendctx::base
