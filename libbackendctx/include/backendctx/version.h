// The version of the library that is loaded.
#pragma once

#include "backendctx/export.h"

namespace backendctx {

BCTX_API const char* LibraryVersion();  // "0.1.0"

}  // namespace backendctx
