// The library that links OpenVINO, loaded when it is first needed: a process that looks for
// plug-ins and runs no blob of this backend does not pay for it.
#pragma once

#include "common/outcome.h"

namespace backendctx::openvino {

// The table whose load, run, unload, facts and judge are set; Unsupported: OpenVINO is not there.
Outcome Runtime(const bctx_plugin** table);

}  // namespace backendctx::openvino
