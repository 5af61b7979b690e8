// What no runtime runs: names that nothing makes, cycles, two makers of one name. Internal to
// model.
#pragma once

#include "backendctx/status.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// Malformed, with graph, node and value, where ONNX Runtime refuses the model too: no import at
// all, no output, a value that is read and that nothing makes, a cycle, a value made twice, in the
// main graph, its subgraphs and the functions that are called. What ONNX Runtime accepts passes:
// unsorted nodes, one initializer twice (the last counts), one import twice (the last counts),
// imports that are missing, operators that nobody knows, broken functions that nothing calls.
Status CheckRunnable(const onnx::ModelProto& model);

}  // namespace backendctx::model
