#include "common/options.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace backendctx::openvino {
namespace {

struct Known {
  const char* key;
  const char* value;     // by default
  const char* property;  // of OpenVINO; null: of the exporter alone
  // Value of ours, value of OpenVINO; empty: a count.
  std::vector<std::pair<std::string_view, std::string_view>> values;
};

constexpr int kMaxDigits = 4;

const std::vector<Known>& Table() {
  static const std::vector<Known> table = {
      {"dynamic-quantization-group", "0", "DYNAMIC_QUANTIZATION_GROUP_SIZE", {}},
      {"execution-mode",
       "accuracy",
       "EXECUTION_MODE_HINT",
       {{"accuracy", "ACCURACY"}, {"performance", "PERFORMANCE"}}},
      // Where there is no instruction for it, sums of products of 8-bit integers saturate and
      // results are far off: Parse has another default for the targets that have one.
      {"int8", "float", "LP_TRANSFORMS_MODE", {{"float", "NO"}, {"integer", "YES"}}},
      {"performance-hint",
       "latency",
       "PERFORMANCE_HINT",
       {{"latency", "LATENCY"}, {"throughput", "THROUGHPUT"}}},
      {"precision",
       "f32",
       "INFERENCE_PRECISION_HINT",
       {{"f32", "f32"}, {"bf16", "bf16"}, {"f16", "f16"}}},
      {"streams", "1", "NUM_STREAMS", {}},
      {"weights", "offset", nullptr, {{"embedded", ""}, {"offset", ""}}},
  };
  return table;
}

const Known* Find(const std::string& key) {
  for (const Known& known : Table()) {
    if (key == known.key) return &known;
  }
  return nullptr;
}

bool IsCount(const std::string& value) {
  return !value.empty() && value.size() <= kMaxDigits &&
         value.find_first_not_of("0123456789") == std::string::npos &&
         (value == "0" || value[0] != '0');
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

Outcome CheckValue(const Known& known, const std::string& value) {
  const std::string found = "option " + std::string(known.key) + " is '" + value + "', expected ";
  if (known.values.empty()) {
    // Zero streams is OpenVINO's word for its own choice, which differs between machines.
    const bool is_streams = std::string_view(known.key) == "streams";
    if (IsCount(value) && !(is_streams && value == "0")) return {};
    return Invalid(found + (is_streams ? "a number from 1 to 9999" : "a number up to 9999"));
  }
  std::vector<std::string> names;
  for (const auto& [name, theirs] : known.values) {
    if (value == name) return {};
    names.emplace_back(name);
  }
  return Invalid(found + Join(names));
}

}  // namespace

const char* const* OptionKeys() {
  static const std::vector<const char*> keys = [] {
    std::vector<const char*> list;
    for (const Known& known : Table()) list.push_back(known.key);
    list.push_back(nullptr);
    return list;
  }();
  return keys.data();
}

Outcome Options::Parse(const bctx_key_value* pairs, size_t count, bool multiplies_int8,
                       Options* options) {
  options->values_.clear();
  for (const Known& known : Table()) options->values_[known.key] = known.value;
  if (multiplies_int8) options->values_["int8"] = "integer";
  for (size_t i = 0; i < count; ++i) {
    const std::string key = pairs[i].key, value = pairs[i].value;
    const Known* known = Find(key);
    if (known == nullptr) {
      std::vector<std::string> names;
      for (const Known& each : Table()) names.emplace_back(each.key);
      return Invalid("option '" + key + "' is not known, expected " + Join(names));
    }
    BCTX_RETURN_UNLESS_OK(CheckValue(*known, value));
    options->values_[key] = value;
  }
  return {};
}

Outcome Options::ParseRecord(const bctx_key_value* pairs, size_t count, Options* options) {
  Outcome outcome = Parse(pairs, count, false, options);
  if (!outcome.ok()) return Malformed("the blob's options: " + outcome.message);
  for (const Known& known : Table()) {
    const bool is_there = std::any_of(pairs, pairs + count, [&](const bctx_key_value& pair) {
      return std::string_view(pair.key) == known.key;
    });
    if (!is_there)
      return Malformed("the blob's options: " + std::string(known.key) + " is missing");
  }
  return {};
}

const std::string& Options::Get(const std::string& key) const { return values_.at(key); }

Pairs Options::Properties() const {
  Pairs properties;
  for (const Known& known : Table()) {
    if (known.property == nullptr) continue;
    std::string value = Get(known.key);
    for (const auto& [ours, theirs] : known.values) {
      if (value == ours) {
        value = theirs;
        break;
      }
    }
    properties.emplace_back(known.property, value);
  }
  // A host pins its own threads, and results must not depend on what its constants look like.
  properties.emplace_back("ENABLE_CPU_PINNING", "NO");
  properties.emplace_back("CPU_DENORMALS_OPTIMIZATION", "NO");
  return properties;
}

}  // namespace backendctx::openvino
