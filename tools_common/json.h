// JSON as both tools print it: keys in the order in which they were added, `schema_version` first.
#pragma once

#include <backendctx/manifest.h>
#include <backendctx/status.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace backendctx::tools {

using Json = nlohmann::ordered_json;

inline constexpr int kSchemaVersion = 1;

Json NewReport();  // {"schema_version": 1}
void PrintJson(const Json& json);
// Nothing when `path` is empty.
Status WriteJson(const Json& json, const std::string& path);

Json RequirementsJson(const std::vector<manifest::Requirement>& requirements);
Json OptionsJson(const std::vector<manifest::KeyValue>& options);
const char* ProofName(const manifest::Proof& proof);  // "passed", "not-run"
const char* PredicateName(uint32_t predicate);
// {code, file, offset, field, found, expected, message}; null when ok.
Json StatusJson(const Status& status);

}  // namespace backendctx::tools
