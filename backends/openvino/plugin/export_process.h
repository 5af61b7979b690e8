// The fresh process in which OpenVINO compiles. Two exports of one process differ (names of nodes
// count on), the instruction set is chosen once in a process, and a compiler that crashes takes
// only its own process along.
#pragma once

#include <string>

#include "common/export_request.h"

namespace backendctx::openvino {

// Ok: the answer holds a blob. Unsupported: OpenVINO does not take it, or its process ended; in its
// words. `limit`: ONEDNN_MAX_CPU_ISA of the process, or "". Safe from several threads.
Outcome RunExport(const ExportRequest& request, const std::string& limit, ExportAnswer* answer);

}  // namespace backendctx::openvino
