// From a partition to a blob: the options, the export process, and what its blob is found to be.
#pragma once

#include "common/outcome.h"

namespace backendctx::openvino {

Outcome Compile(const bctx_compile_request& request, bctx_blob* blob);
void ReleaseBlob(bctx_blob* blob);

}  // namespace backendctx::openvino
