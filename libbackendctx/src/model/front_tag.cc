#include "model/front_tag.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/os/file.h"

namespace backendctx::model {
namespace {

using nlohmann::json;

constexpr size_t kMaxTagBytes = 1u << 16;

Status MalformedTag(const std::string& text) {
  return Status(StatusCode::kMalformed, fmt::format("property {}: {}", kFrontProperty, text));
}

const char* Name(Encoding encoding) {
  return encoding == Encoding::kFunction ? "function" : "metadata";
}

Result<std::string> Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found != object.end() && found->is_string()) return found->get<std::string>();
  return MalformedTag(fmt::format("found no text \"{}\"", key));
}

Result<FrontTag> FromJson(const json& object) {
  FrontTag tag;
  BCTX_ASSIGN_OR_RETURN(tag.container, Text(object, "container"));
  BCTX_RETURN_IF_ERROR(os::CheckPlainName(tag.container));
  BCTX_ASSIGN_OR_RETURN(const std::string hex, Text(object, "manifest"));
  const std::optional<Digest> manifest = Digest::FromHex(hex);
  if (!manifest) return MalformedTag("\"manifest\" is no digest");
  tag.manifest = *manifest;
  const auto encoder = object.find("encoder");
  if (encoder == object.end() || !encoder->is_number_unsigned() ||
      encoder->get<uint64_t>() > UINT32_MAX) {
    return MalformedTag("found no number \"encoder\"");
  }
  tag.encoder = encoder->get<uint32_t>();
  if (tag.encoder == 0) return MalformedTag("\"encoder\" is 0, expected 1 or more");
  BCTX_ASSIGN_OR_RETURN(const std::string encoding, Text(object, "encoding"));
  if (encoding != "function" && encoding != "metadata") {
    return MalformedTag("\"encoding\" is neither function nor metadata");
  }
  tag.encoding = encoding == "function" ? Encoding::kFunction : Encoding::kMetadata;
  BCTX_ASSIGN_OR_RETURN(tag.variant, Text(object, "variant"));
  if (object.contains("embedded")) {
    BCTX_ASSIGN_OR_RETURN(tag.embedded, Text(object, "embedded"));
    if (tag.embedded.empty()) return MalformedTag("\"embedded\" is empty");
  }
  const auto prefer = object.find("prefer");
  if (prefer == object.end()) return tag;
  if (!prefer->is_array() || prefer->empty()) return MalformedTag("\"prefer\" is no list of names");
  for (const json& name : *prefer) {
    if (!name.is_string()) return MalformedTag("\"prefer\" is no list of names");
    tag.prefer.push_back(name.get<std::string>());
  }
  return tag;
}

}  // namespace

std::string EncodeTag(const FrontTag& tag) {
  json object = {{"container", tag.container},
                 {"encoder", tag.encoder},
                 {"encoding", Name(tag.encoding)},
                 {"manifest", tag.manifest.Hex()},
                 {"variant", tag.variant}};
  if (!tag.embedded.empty()) object["embedded"] = tag.embedded;
  if (!tag.prefer.empty()) object["prefer"] = tag.prefer;
  return object.dump();  // members sorted by name
}

Result<FrontTag> ParseTag(const std::string& text) {
  if (text.size() > kMaxTagBytes) return MalformedTag(fmt::format("found {} bytes", text.size()));
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return MalformedTag("found no JSON object");
  return FromJson(object);
}

}  // namespace backendctx::model
