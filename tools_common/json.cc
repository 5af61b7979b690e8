#include "tools_common/json.h"

#include <fstream>

#include "tools_common/terminal.h"

namespace backendctx::tools {

Json NewReport() {
  Json json;
  json["schema_version"] = kSchemaVersion;
  return json;
}

// Names may hold bytes that are no UTF-8; they are replaced, never an exception.
static std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void PrintJson(const Json& json) { Print(Dump(json)); }

Status WriteJson(const Json& json, const std::string& path) {
  if (path.empty()) return OkStatus();
  std::ofstream file(path);
  file << Dump(json);
  file.close();
  if (file) return OkStatus();
  return Status(StatusCode::kIo, path + ": cannot be written", {.file = path});
}

const char* PredicateName(uint32_t predicate) {
  switch (static_cast<manifest::Predicate>(predicate)) {
    case manifest::Predicate::kEquals:
      return "equals";
    case manifest::Predicate::kOneOf:
      return "one-of";
    case manifest::Predicate::kContainsAll:
      return "contains-all";
    case manifest::Predicate::kAtLeast:
      return "at-least";
    case manifest::Predicate::kInRange:
      return "in-range";
    case manifest::Predicate::kVersionInRange:
      return "version-in-range";
    case manifest::Predicate::kMultipleOf:
      return "multiple-of";
    case manifest::Predicate::kVendorString:
      return "vendor-string";
  }
  return "unknown";
}

Json RequirementsJson(const std::vector<manifest::Requirement>& requirements) {
  Json list = Json::array();
  for (const manifest::Requirement& r : requirements) {
    list.push_back({{"key", r.key},
                    {"predicate", PredicateName(r.predicate)},
                    {"values", r.values},
                    {"preferred", r.preferred}});
  }
  return list;
}

Json OptionsJson(const std::vector<manifest::KeyValue>& options) {
  Json map = Json::object();
  for (const manifest::KeyValue& option : options) map[option.key] = option.value;
  return map;
}

const char* ProofName(const manifest::Proof& proof) { return proof.passed ? "passed" : "not-run"; }

Json StatusJson(const Status& status) {
  if (status.ok()) return nullptr;
  const Detail& detail = status.detail();
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  Json json;
  json["code"] = StatusCodeName(status.code());
  json["file"] = text(detail.file);
  json["offset"] = detail.offset ? Json(*detail.offset) : Json();
  json["field"] = text(detail.field);
  json["found"] = text(detail.found);
  json["expected"] = text(detail.expected);
  json["message"] = status.message();
  return json;
}

}  // namespace backendctx::tools
