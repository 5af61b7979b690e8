// The shared object's own translation unit: what the library says of itself.
#include "backendctx/version.h"

namespace backendctx {

const char* LibraryVersion() { return BACKENDCTX_VERSION; }

}  // namespace backendctx
