// Compile through the table, and the blob copied out once everything that it promised was found.
#include <fmt/format.h>

#include <algorithm>

#include "plugin/plugin.h"
#include "plugin/table.h"

namespace backendctx::plugin {
namespace {

constexpr size_t kMaxBlob = size_t{1} << 31;
constexpr size_t kMaxCount = 4096;

// Gives the blob back however the copy ends.
class Held {
 public:
  explicit Held(const bctx_plugin& table) : table_(table) { blob.struct_size = sizeof(blob); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    if (!is_made) return;
    try {
      table_.release_blob(&blob);
    } catch (...) {  // NOLINT: the bytes were copied; there is nobody to tell
    }
  }

  bctx_blob blob{};
  bool is_made = false;

 private:
  const bctx_plugin& table_;
};

Status CheckCount(const void* list, size_t count, const char* member) {
  if (count > kMaxCount) {
    return Broken(
        fmt::format("{}: found {} of them, expected at most {}", member, count, kMaxCount));
  }
  if (count != 0 && list == nullptr) {
    return Broken(fmt::format("{}: {} promised, none delivered", member, count));
  }
  return OkStatus();
}

Result<std::string> Text(const char* text, const char* member) {
  std::string out;
  if (ReadText(text, kMaxText, &out)) return out;
  return Broken(fmt::format("{}: expected a text without control characters", member));
}

Result<manifest::Requirement> CopyRequirement(const bctx_requirement& from) {
  manifest::Requirement requirement;
  BCTX_ASSIGN_OR_RETURN(requirement.key, Text(from.key, "requirement key"));
  if (from.predicate < BCTX_EQUALS || from.predicate > BCTX_MULTIPLE_OF) {
    return Broken(
        fmt::format("requirement {}: predicate {} is none", requirement.key, from.predicate));
  }
  requirement.predicate = static_cast<uint32_t>(from.predicate);
  requirement.preferred = from.preferred != 0;
  BCTX_RETURN_IF_ERROR(CheckCount(from.values, from.value_count, "requirement values"));
  for (size_t i = 0; i < from.value_count; ++i) {
    BCTX_ASSIGN_OR_RETURN(std::string value, Text(from.values[i], "requirement value"));
    requirement.values.push_back(std::move(value));
  }
  return requirement;
}

Result<std::vector<manifest::KeyValue>> CopyOptions(const bctx_key_value* from, size_t count) {
  BCTX_RETURN_IF_ERROR(CheckCount(from, count, "options"));
  std::vector<manifest::KeyValue> options;
  for (size_t i = 0; i < count; ++i) {
    manifest::KeyValue option;
    BCTX_ASSIGN_OR_RETURN(option.key, Text(from[i].key, "option key"));
    BCTX_ASSIGN_OR_RETURN(option.value, Text(from[i].value, "option value"));
    if (!options.empty() && options.back().key >= option.key) {
      return Broken("options: expected them sorted by key, each once");
    }
    options.push_back(std::move(option));
  }
  return options;
}

Result<Blob> Copy(const bctx_blob& from, const std::string& backend) {
  if (from.bytes.size == 0 || from.bytes.size > kMaxBlob) {
    return Broken(fmt::format("blob: found {} bytes, expected 1 to {}", from.bytes.size, kMaxBlob));
  }
  if (from.bytes.data == nullptr) {
    return Broken(fmt::format("blob: {} bytes promised, none delivered", from.bytes.size));
  }
  Blob blob;
  BCTX_ASSIGN_OR_RETURN(blob.entry, Text(from.entry, "entry"));
  BCTX_RETURN_IF_ERROR(CheckCount(from.requirements, from.requirement_count, "requirements"));
  for (size_t i = 0; i < from.requirement_count; ++i) {
    BCTX_ASSIGN_OR_RETURN(manifest::Requirement requirement, CopyRequirement(from.requirements[i]));
    blob.requirements.push_back(std::move(requirement));
  }
  BCTX_ASSIGN_OR_RETURN(blob.options, CopyOptions(from.options, from.option_count));
  if (from.weights < BCTX_WEIGHTS_NONE || from.weights > BCTX_WEIGHTS_OFFSET) {
    return Broken(fmt::format("weights: found kind {}, which is none", from.weights));
  }
  blob.weights = static_cast<manifest::WeightsKind>(from.weights);
  if (from.label != nullptr) {
    BCTX_ASSIGN_OR_RETURN(const std::string label, Text(from.label, "label"));
    manifest::Requirement requirement;
    requirement.key = "vendor." + backend;
    requirement.predicate = static_cast<uint32_t>(manifest::Predicate::kVendorString);
    requirement.values = {label};
    blob.requirements.push_back(std::move(requirement));
  }
  if (from.note != nullptr) {
    BCTX_ASSIGN_OR_RETURN(blob.note, Text(from.note, "note"));
  }
  blob.bytes.assign(reinterpret_cast<const char*>(from.bytes.data), from.bytes.size);
  return blob;
}

// A label can lie: what is said of a blob is compared with what the vendor's code reads in it.
Status CompareLabels(const Plugin& plugin, const bctx_blob& said, const std::string& bytes) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<std::string> found, LabelOf(plugin, bytes));
  const std::string label = said.label != nullptr ? said.label : "";
  if (!found || *found == label) return OkStatus();
  return Broken(fmt::format("{}: compile: label: said \"{}\", the blob has \"{}\"",
                            plugin.backend(), label, *found));
}

}  // namespace

Result<Blob> Compile(const Plugin& plugin, const bctx_compile_request& request) {
  const bctx_plugin& table = plugin.table();
  if (!plugin.compiles()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: is a driver and does not compile", plugin.backend()));
  }
  Held held(table);
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "compile", [&](bctx_error* error) {
    return table.compile(&request, &held.blob, error);
  }));
  held.is_made = true;
  Result<Blob> blob = Copy(held.blob, plugin.backend());
  if (!blob) return blob.status().WithContext(plugin.backend() + ": compile");
  BCTX_RETURN_IF_ERROR(CompareLabels(plugin, held.blob, blob->bytes));
  return blob;
}

}  // namespace backendctx::plugin
