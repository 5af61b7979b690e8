#include "manifest/wire.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"

namespace backendctx::manifest {
namespace {

struct Frame {
  const MessageRule* rule;
  size_t end;
  std::array<uint32_t, kMaxFields> counts{};  // of each field of the rule, by position
  const FieldRule* current = nullptr;         // the field that is looked at
  uint32_t index = 0;                         // of it, where it is a list
};

class Walker {
 public:
  Walker(std::span<const uint8_t> bytes, const MessageRule& rule, uint64_t items)
      : bytes_(bytes), items_(items) {
    stack_.push_back({&rule, bytes.size()});
  }

  Status Walk() {
    while (!stack_.empty()) {
      if (at_ == stack_.back().end) {
        stack_.pop_back();
      } else {
        BCTX_RETURN_IF_ERROR(Field());
      }
    }
    return OkStatus();
  }

 private:
  Status Bad(const std::string& found, const std::string& expected,
             StatusCode code = StatusCode::kMalformed) const {
    std::string field;
    for (const Frame& frame : stack_) {
      if (frame.current == nullptr) break;
      if (!field.empty()) field += '.';
      field += frame.current->name;
      if (frame.current->repeated) field += fmt::format("[{}]", frame.index);
    }
    if (field.empty()) field = "message";
    return {code,
            fmt::format("byte {}: {}: found {}, expected {}", at_, field, found, expected),
            {.offset = at_, .field = field, .found = found, .expected = expected}};
  }

  std::optional<uint64_t> Varint(size_t most) {
    uint64_t value = 0;
    for (size_t i = 0; i < most && at_ < stack_.back().end; ++i) {
      const uint8_t byte = bytes_[at_++];
      if (i == 9 && byte > 1) return std::nullopt;
      value |= uint64_t{byte & 0x7fu} << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  Status Field() {
    Frame& frame = stack_.back();
    frame.current = nullptr;
    const std::optional<uint64_t> tag = Varint(5);
    if (!tag || *tag >> 3 == 0 || *tag >> 32 != 0) return Bad("no field tag", "one");
    const auto number = static_cast<uint32_t>(*tag >> 3);
    const auto wire = static_cast<uint32_t>(*tag & 7);
    for (size_t i = 0; i < frame.rule->fields.size(); ++i) {
      if (frame.rule->fields[i].number != number) continue;
      frame.current = &frame.rule->fields[i];
      frame.index = frame.counts[i]++;
      if (frame.index > 0 && !frame.current->repeated) return Bad("the field twice", "once");
      return Known(*frame.current, wire);
    }
    return Unknown(wire);
  }

  Status Known(const FieldRule& field, uint32_t wire) {
    static constexpr uint32_t kWire[] = {0, 1, 2, 2, 2};  // by WireType
    const uint32_t expected = kWire[static_cast<size_t>(field.type)];
    if (wire != expected) {
      return Bad(fmt::format("wire type {}", wire), fmt::format("{}", expected));
    }
    if (field.type == WireType::kMessage || field.repeated) BCTX_RETURN_IF_ERROR(CountItem());
    if (wire != 2) return Skip(wire);
    BCTX_ASSIGN_OR_RETURN(const size_t length, Length());
    if (field.type == WireType::kMessage) {
      stack_.push_back({field.message, at_ + length});
      return OkStatus();
    }
    const std::string_view text = base::AsText(bytes_.subspan(at_, length));
    if (field.type == WireType::kText && !base::IsCleanText(text)) {
      return Bad("\"" + base::Printable(text, 80) + "\"", "UTF-8 without control characters");
    }
    at_ += length;
    return OkStatus();
  }

  Status CountItem() {
    if (items_-- > 0) return OkStatus();
    return Bad("more items", "at most the limit", StatusCode::kResourceExhausted);
  }

  Status Unknown(uint32_t wire) {
    if (wire != 2) return Skip(wire);
    BCTX_ASSIGN_OR_RETURN(const size_t length, Length());
    at_ += length;
    return OkStatus();
  }

  // A field of fixed size, or a varint.
  Status Skip(uint32_t wire) {
    if (wire == 0) return Varint(10) ? OkStatus() : Bad("a number that does not end", "one");
    if (wire != 1 && wire != 5) return Bad(fmt::format("wire type {}", wire), "0, 1, 2 or 5");
    const size_t size = wire == 1 ? 8 : 4;
    if (stack_.back().end - at_ < size) return Bad("its end", "a fixed-size number");
    at_ += size;
    return OkStatus();
  }

  Result<size_t> Length() {
    const std::optional<uint64_t> length = Varint(10);
    const size_t left = stack_.back().end - at_;
    if (length && *length <= left) return static_cast<size_t>(*length);
    return Bad(length ? fmt::format("length {}", *length) : "no length",
               fmt::format("at most {}", left));
  }

  std::span<const uint8_t> bytes_;
  uint64_t items_;
  size_t at_ = 0;
  std::vector<Frame> stack_;
};

}  // namespace

Status CheckWire(std::span<const uint8_t> bytes, const MessageRule& rule, uint64_t items) {
  return Walker(bytes, rule, items).Walk();
}

}  // namespace backendctx::manifest
