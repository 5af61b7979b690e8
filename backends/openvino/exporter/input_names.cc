// Three levels of protobuf's wire format are read here, so that this process needs no second copy
// of ONNX's messages beside OpenVINO's.
#include "exporter/input_names.h"

#include <cstdint>

namespace backendctx::openvino {
namespace {

// Field numbers of onnx.proto.
constexpr uint64_t kModelGraph = 7, kGraphInput = 11, kValueName = 1;

bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes->empty()) return false;
    const auto byte = static_cast<uint8_t>(bytes->front());
    bytes->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// The next field; content is empty unless it has a length.
bool TakeField(std::string_view* bytes, uint64_t* number, std::string_view* content) {
  uint64_t tag = 0, size = 0;
  if (!TakeVarint(bytes, &tag)) return false;
  *number = tag >> 3;
  *content = {};
  switch (tag & 7) {
    case 0:
      return TakeVarint(bytes, &size);
    case 1:
      size = 8;
      break;
    case 2:
      if (!TakeVarint(bytes, &size)) return false;
      break;
    case 5:
      size = 4;
      break;
    default:
      return false;
  }
  if (size > bytes->size()) return false;
  if ((tag & 7) == 2) *content = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> InputNames(std::string_view model) {
  std::vector<std::string> names;
  std::string_view graph, value, name;
  uint64_t field = 0;
  while (!model.empty()) {
    if (!TakeField(&model, &field, &graph)) return std::nullopt;
    if (field != kModelGraph) continue;
    while (!graph.empty()) {
      if (!TakeField(&graph, &field, &value)) return std::nullopt;
      if (field != kGraphInput) continue;
      std::string& last = names.emplace_back();
      while (!value.empty()) {
        if (!TakeField(&value, &field, &name)) return std::nullopt;
        if (field == kValueName) last = name;
      }
    }
  }
  return names;
}

}  // namespace backendctx::openvino
