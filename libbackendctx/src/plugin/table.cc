#include "plugin/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/text.h"

namespace backendctx::plugin {
namespace {

constexpr size_t kMaxName = 64;
constexpr size_t kMaxListed = 1024;

Status Malformed(std::string what) {
  return Status(StatusCode::kMalformed, "plug-in table: " + std::move(what));
}

bool IsBackendName(const std::string& name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !name.empty() && name.find_first_not_of(kAllowed) == std::string::npos;
}

Status CheckList(const char* const* list, const char* member) {
  if (list == nullptr) return Malformed(fmt::format("{} is null", member));
  for (size_t i = 0; list[i] != nullptr; ++i) {
    if (i == kMaxListed) return Malformed(fmt::format("{} has no end", member));
    std::string text;
    if (!ReadText(list[i], kMaxName, &text) || text.empty()) {
      return Malformed(fmt::format("{}[{}]: expected a short name", member, i));
    }
  }
  return OkStatus();
}

Status CheckFunctions(const bctx_plugin& table) {
  if (table.compile == nullptr && table.load == nullptr) {
    return Malformed("found neither compile nor load");
  }
  if ((table.compile == nullptr) != (table.release_blob == nullptr)) {
    return Malformed("found only one of compile and release_blob");
  }
  if ((table.offer == nullptr) != (table.release_offer == nullptr)) {
    return Malformed("found only one of offer and release_offer");
  }
  if (table.load_keys != nullptr) BCTX_RETURN_IF_ERROR(CheckList(table.load_keys, "load_keys"));
  const bool runs = table.load != nullptr;
  if (runs != (table.run != nullptr) || runs != (table.unload != nullptr)) {
    return Malformed("found only some of load, run and unload");
  }
  if (table.compile == nullptr) return OkStatus();
  BCTX_RETURN_IF_ERROR(CheckList(table.targets, "targets"));
  return CheckList(table.option_keys, "option_keys");
}

StatusCode MapCode(bctx_code code) {
  switch (code) {
    case BCTX_OK:
      return StatusCode::kOk;
    case BCTX_INVALID_ARGUMENT:
      return StatusCode::kInvalidArgument;
    case BCTX_UNSUPPORTED:
      return StatusCode::kUnimplemented;
    case BCTX_MALFORMED:
      return StatusCode::kMalformed;
    case BCTX_INCOMPATIBLE:
      return StatusCode::kIncompatible;
    case BCTX_INTERNAL:
      return StatusCode::kInternal;
  }
  return StatusCode::kInternal;
}

}  // namespace

bool ReadText(const char* text, size_t limit, std::string* out) {
  if (text == nullptr) return false;
  const size_t size = strnlen(text, limit + 1);
  if (size > limit) return false;
  out->assign(text, size);
  return base::IsCleanText(*out);
}

Result<bctx_plugin> CheckTable(const bctx_plugin* table) {
  if (table == nullptr) {
    return Status(
        StatusCode::kUnsupportedVersion,
        fmt::format("plug-in: needs a host newer than ABI version {}", BCTX_PLUGIN_ABI_VERSION));
  }
  if (table->struct_size < offsetof(bctx_plugin, backend)) {
    return Malformed(fmt::format("struct_size: found {}", table->struct_size));
  }
  // Version first: another version may have laid out everything behind it differently.
  if (table->abi_version != BCTX_PLUGIN_ABI_VERSION) {
    return Status(StatusCode::kUnsupportedVersion,
                  fmt::format("plug-in table: abi_version: found {}, expected {}",
                              table->abi_version, BCTX_PLUGIN_ABI_VERSION));
  }
  bctx_plugin known{};
  std::memcpy(&known, table, std::min<size_t>(table->struct_size, sizeof(known)));
  known.struct_size = sizeof(known);
  std::string text;
  if (!ReadText(known.backend, kMaxName, &text) || !IsBackendName(text)) {
    return Malformed("backend: expected a name of lower-case letters, digits and hyphens");
  }
  if (!ReadText(known.version, kMaxName, &text) || text.empty()) {
    return Malformed("version: expected a short text");
  }
  BCTX_RETURN_IF_ERROR(CheckFunctions(known));
  return known;
}

bctx_error EmptyError() {
  bctx_error error;
  error.struct_size = sizeof(error);
  error.message[0] = '\0';
  return error;
}

Status ToStatus(bctx_code code, const bctx_error& error, const std::string& backend,
                const char* function) {
  if (code == BCTX_OK) return OkStatus();
  const size_t size = strnlen(error.message, sizeof(error.message));
  const std::string text = base::Printable({error.message, size}, sizeof(error.message));
  const bool is_known = code >= BCTX_OK && code <= BCTX_INTERNAL;
  std::string message = fmt::format("{}: {}: ", backend, function);
  if (!is_known)
    message += fmt::format("returned code {}, which is none: ", static_cast<int>(code));
  message += text.empty()
                 ? fmt::format("failed with code {} and said nothing", static_cast<int>(code))
                 : text;
  return Status(MapCode(code), std::move(message));
}

Status Threw(const std::string& backend, const char* function, const char* what) {
  return Status(StatusCode::kInternal, fmt::format("{}: {}: threw an exception: {}", backend,
                                                   function, base::Printable(what)));
}

}  // namespace backendctx::plugin
