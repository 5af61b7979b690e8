// Constants that an encoding turns into initializers of the top-level graph. Internal to model.
//
// ONNX Runtime refuses external data of Constant nodes and of branch initializers when the model
// lies behind a symlink, as in model caches; on top-level initializers, which branches capture by
// name, it takes them.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "backendctx/status.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// Constant nodes named by their graph and output.
using ConstantSet = std::set<std::pair<const onnx::GraphProto*, std::string>>;

// Hoists every Constant node and branch initializer of kInlineLimit bytes and more, and the smaller
// Constant nodes in `also`, out of the main graph and its subgraphs. Names stay where they are
// unique. A constant that is a graph's output leaves an Identity behind. `model` in stored form.
Status HoistConstants(const ConstantSet& also, onnx::ModelProto* model);

}  // namespace backendctx::model
