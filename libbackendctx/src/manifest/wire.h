// Inside manifest only: a look at protobuf bytes before protobuf sees them.
//
// Protobuf's parser merges repeated singular fields, keeps unknown groups, prints to stderr when a
// string is no UTF-8, and turns two bytes of input into hundreds of bytes of empty messages. So the
// bytes are walked first by a table of what the schema allows: every field has its wire type, a
// singular field occurs at most once, text is clean, and messages and list elements are counted
// against a limit. What passes costs memory in proportion to its size and to that limit.
//
// The walk keeps its own stack. Its depth is bounded by the table, which never leads into itself.
#pragma once

#include <cstdint>
#include <span>

#include "backendctx/status.h"

namespace backendctx::manifest {

enum class WireType { kVarint, kFixed64, kText, kBytes, kMessage };

struct MessageRule;
struct FieldRule {
  uint32_t number;
  const char* name;
  WireType type;
  bool repeated = false;
  const MessageRule* message = nullptr;
};
inline constexpr size_t kMaxFields = 16;
struct MessageRule {
  std::span<const FieldRule> fields;  // at most kMaxFields
};

extern const MessageRule kManifestRule;
extern const MessageRule kEnvelopeRule;

// Malformed with the field and its offset; ResourceExhausted past `items` messages and elements.
Status CheckWire(std::span<const uint8_t> bytes, const MessageRule& rule, uint64_t items);

}  // namespace backendctx::manifest
