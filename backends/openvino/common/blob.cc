#include "common/blob.h"

#include <charconv>
#include <cstring>
#include <map>

namespace backendctx::openvino {
namespace {

constexpr std::string_view kMagic = "RR_UPCVO";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxLabel = 64 * 1024;
constexpr uint64_t kNumbers = 6, kNumbersBytes = kNumbers * sizeof(uint64_t);
constexpr std::string_view kAttribute = "WeightlessCacheAttribute", kOffset = "bin_offset";

template <typename Number>
bool Take(std::string_view* bytes, Number* number) {
  if (bytes->size() < sizeof(*number)) return false;
  std::memcpy(number, bytes->data(), sizeof(*number));
  bytes->remove_prefix(sizeof(*number));
  return true;
}

Outcome Wrong(const std::string& field, uint64_t found, uint64_t expected) {
  return Malformed("blob: " + field + ": found " + std::to_string(found) + ", expected " +
                   std::to_string(expected));
}

bool IsPrintable(std::string_view text) {
  for (const char c : text) {
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

Outcome ParseLabel(std::string_view* rest, std::string_view* label) {
  if (!rest->starts_with(kMagic)) {
    return Malformed("blob: does not begin with the magic number of OpenVINO's CPU plug-in");
  }
  rest->remove_prefix(kMagic.size());
  uint32_t version = 0;
  uint64_t length = 0;
  if (!Take(rest, &version)) return Malformed("blob: ends inside its header");
  if (version != kVersion) return Wrong("version", version, kVersion);
  if (!Take(rest, &length)) return Malformed("blob: ends inside its header");
  if (length == 0 || length > kMaxLabel || length > rest->size()) {
    return Malformed("blob: length of the label: found " + std::to_string(length) +
                     ", expected 1 to " + std::to_string(std::min(kMaxLabel, rest->size())));
  }
  *label = rest->substr(0, length);
  if (!IsPrintable(*label)) return Malformed("blob: the label is no text");
  rest->remove_prefix(length);
  return {};
}

bool SkipText(std::string_view* rest, std::string_view text) {
  if (!rest->starts_with(text)) return false;
  rest->remove_prefix(text.size());
  return true;
}

bool SkipWord(std::string_view* rest) {
  size_t size = 0;
  while (size < rest->size() &&
         (std::isalnum(static_cast<unsigned char>((*rest)[size])) != 0 || (*rest)[size] == '_')) {
    ++size;
  }
  rest->remove_prefix(size);
  return size != 0;
}

bool TakeDigits(std::string_view* rest, size_t* length, uint64_t* number) {
  const auto [end, error] = std::from_chars(rest->data(), rest->data() + rest->size(), *number);
  *length = static_cast<size_t>(end - rest->data());
  if (error != std::errc() || *length == 0) return false;
  rest->remove_prefix(*length);
  return true;
}

// The attribute whose name begins at `at`, exactly as the exporter writes it.
bool ReadAttribute(std::string_view graph, size_t at, WeightPlace* place) {
  constexpr std::string_view kBefore = "<attribute name=\"";
  if (at < kBefore.size() || graph.substr(at - kBefore.size(), kBefore.size()) != kBefore) {
    return false;
  }
  std::string_view rest = graph.substr(at + kAttribute.size());
  if (!SkipText(&rest, "\" version=\"0\" original_dtype=\"") || !SkipWord(&rest) ||
      !SkipText(&rest, "\" bin_offset=\"")) {
    return false;
  }
  place->at = graph.size() - rest.size();
  size_t digits = 0;
  return TakeDigits(&rest, &place->length, &place->offset) &&
         SkipText(&rest, "\" original_size=\"") && TakeDigits(&rest, &digits, &place->size) &&
         SkipText(&rest, "\" />");
}

}  // namespace

Outcome ParseBlob(std::string_view blob, BlobParts* parts) {
  std::string_view rest = blob;
  BCTX_RETURN_UNLESS_OK(ParseLabel(&rest, &parts->label));
  const std::string_view body = rest;  // what the offsets count from
  uint64_t numbers[kNumbers];
  for (uint64_t& number : numbers) {
    if (!Take(&rest, &number)) return Malformed("blob: ends inside its header");
  }
  const auto& [custom, custom_size, constants, constants_size, graph, graph_size] = numbers;
  if (custom != kNumbersBytes) return Wrong("custom_offset", custom, kNumbersBytes);
  // Each size is bounded before it is added to anything.
  if (custom_size > body.size() - custom) {
    return Malformed("blob: custom_size: found " + std::to_string(custom_size) + " of " +
                     std::to_string(body.size()) + " bytes");
  }
  if (constants != custom + custom_size) {
    return Wrong("constants_offset", constants, custom + custom_size);
  }
  if (constants_size > body.size() - constants) {
    return Malformed("blob: constants_size: found " + std::to_string(constants_size) + " of " +
                     std::to_string(body.size()) + " bytes");
  }
  if (graph != constants + constants_size) {
    return Wrong("graph_offset", graph, constants + constants_size);
  }
  if (graph_size == 0 || graph_size != body.size() - graph) {
    return Wrong("graph_size", graph_size, body.size() - graph);
  }
  parts->graph = body.substr(graph);
  parts->constants = constants_size;
  return {};
}

Outcome FindWeightPlaces(std::string_view graph, std::vector<WeightPlace>* places) {
  places->clear();
  size_t seen = 0;
  for (size_t at = graph.find(kAttribute); at != std::string_view::npos;
       at = graph.find(kAttribute, at + 1)) {
    WeightPlace place;
    if (!ReadAttribute(graph, at, &place)) {
      return Malformed("blob: a constant's place in the weights is not as the exporter writes it");
    }
    places->push_back(place);
  }
  for (size_t at = graph.find(kOffset); at != std::string_view::npos;
       at = graph.find(kOffset, at + 1)) {
    ++seen;
  }
  if (seen != places->size()) {
    return Malformed("blob: found " + std::to_string(seen) + " offsets in " +
                     std::to_string(places->size()) + " places of weights");
  }
  return {};
}

Outcome RelocateBlob(std::string_view blob, const bctx_bound_weight* weights, size_t count,
                     std::string* relocated) {
  BlobParts parts;
  BCTX_RETURN_UNLESS_OK(ParseBlob(blob, &parts));
  std::vector<WeightPlace> places;
  BCTX_RETURN_UNLESS_OK(FindWeightPlaces(parts.graph, &places));
  std::map<uint64_t, const bctx_bound_weight*> table;
  for (size_t i = 0; i < count; ++i) table.emplace(weights[i].offset, &weights[i]);
  const size_t before = blob.size() - parts.graph.size();
  relocated->assign(blob.substr(0, before));
  size_t copied = 0;
  for (const WeightPlace& place : places) {
    const auto entry = table.find(place.offset);
    if (entry == table.end() || entry->second->size != place.size) {
      return Malformed("blob: " + std::to_string(place.size) + " bytes at " +
                       std::to_string(place.offset) + " are no entry of the weight table");
    }
    relocated->append(parts.graph.substr(copied, place.at - copied));
    relocated->append(std::to_string(entry->second->file_offset));
    copied = place.at + place.length;
  }
  relocated->append(parts.graph.substr(copied));
  // The text's length changed; its number is the last before the custom XML.
  const uint64_t graph_size = relocated->size() - before;
  const size_t label_end =
      static_cast<size_t>(parts.label.data() - blob.data()) + parts.label.size();
  std::memcpy(relocated->data() + label_end + (kNumbers - 1) * sizeof(uint64_t), &graph_size,
              sizeof(graph_size));
  return {};
}

}  // namespace backendctx::openvino
