// Where the library's messages go: nowhere, unless the host installs a callback.
//
// Threads: both functions may be called from any thread; the callback may be called from several
// at once and must not install another.
#pragma once

#include <functional>
#include <string_view>

#include "backendctx/export.h"

namespace backendctx::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
using LogCallback = std::function<void(LogLevel, std::string_view)>;

BCTX_API void SetLogCallback(LogCallback callback);  // an empty one turns messages off
void Log(LogLevel level, std::string_view message);

}  // namespace backendctx::base
