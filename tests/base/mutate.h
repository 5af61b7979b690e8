// Random edits of bytes, the same for equal seeds on every machine.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace backendctx::test {

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : state_(seed) {}

  // One to four edits: a byte set, a bit flipped, bytes removed, repeated, inserted or zeroed.
  std::string operator()(std::string bytes) {
    const uint32_t edits = 1 + Next(4);
    for (uint32_t i = 0; i < edits && !bytes.empty(); ++i) Edit(&bytes);
    return bytes;
  }

 private:
  uint32_t Next(size_t below) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<uint32_t>((uint64_t{state_} * below) >> 32);
  }

  void Edit(std::string* bytes) {
    static constexpr char kTelling[] = {0, 1, 127, char(0x80), char(0xff), 8, 10, 18};
    const size_t at = Next(bytes->size());
    const size_t count = 1 + Next(16);
    switch (Next(6)) {
      case 0:
        (*bytes)[at] = kTelling[Next(sizeof kTelling)];
        break;
      case 1:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << Next(8)));
        break;
      case 2:
        bytes->erase(at, count);
        break;
      case 3:
        bytes->insert(at, bytes->substr(at, count));
        break;
      case 4:
        bytes->insert(at, std::string(count, kTelling[Next(sizeof kTelling)]));
        break;
      default:
        bytes->replace(at, count, std::string(count, '\0'));
        break;
    }
  }

  uint32_t state_;
};

inline size_t Repetitions(size_t normal, size_t large) {
  return std::getenv("BCTX_TEST_LONG") != nullptr ? large : normal;
}

}  // namespace backendctx::test
