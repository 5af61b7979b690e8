// What goes through the pipe to the export process and back: texts, each behind its length.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace backendctx::openvino {

inline void AppendFrame(std::string_view text, std::string* out) {
  const uint64_t size = text.size();
  out->append(reinterpret_cast<const char*>(&size), sizeof(size));
  out->append(text);
}

// Takes frames from the front of bytes that must outlive it.
class FrameReader {
 public:
  explicit FrameReader(std::string_view bytes) : rest_(bytes) {}

  // False: there is no whole frame.
  bool Take(std::string* text) {
    uint64_t size = 0;
    if (rest_.size() < sizeof(size)) return false;
    std::memcpy(&size, rest_.data(), sizeof(size));
    rest_.remove_prefix(sizeof(size));
    if (size > rest_.size()) return false;
    text->assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return true;
  }
  bool TakeCount(size_t* count) {
    std::string text;
    if (!Take(&text) || text.empty() || text.size() > 9) return false;
    *count = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return false;
      *count = *count * 10 + static_cast<size_t>(c - '0');
    }
    return true;
  }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace backendctx::openvino
