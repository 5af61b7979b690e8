// Inside plugin only: what a plug-in's table and its answers must look like.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backendctx/plugin_abi.h"
#include "backendctx/status.h"

namespace backendctx::plugin {

// The table with members behind its struct_size set to null; Malformed when it is impossible,
// UnsupportedVersion for another ABI.
Result<bctx_plugin> CheckTable(const bctx_plugin* table);

// Of any text that a plug-in hands over, in bytes.
inline constexpr size_t kMaxText = 4096;

// The text at `text`, at most `limit` bytes, clean; nothing for null and the rest.
bool ReadText(const char* text, size_t limit, std::string* out);

// A promise of the interface that was not kept: the backend's mistake.
inline Status Broken(std::string what) { return Status(StatusCode::kInternal, std::move(what)); }

// An error buffer as it is handed to a plug-in, and the Status made of its answer. An unknown code
// is the backend's mistake, and a failure without a text says so.
bctx_error EmptyError();
Status ToStatus(bctx_code code, const bctx_error& error, const std::string& backend,
                const char* function);
Status Threw(const std::string& backend, const char* function, const char* what);

// Calls into a plug-in; an exception that crosses, which the ABI forbids, becomes a Status.
template <typename Call>
Status Guarded(const std::string& backend, const char* function, Call call) {
  bctx_error error = EmptyError();
  try {
    return ToStatus(call(&error), error, backend, function);
  } catch (const std::exception& exception) {
    return Threw(backend, function, exception.what());
  } catch (...) {
    return Threw(backend, function, "something that is no std::exception");
  }
}

}  // namespace backendctx::plugin
