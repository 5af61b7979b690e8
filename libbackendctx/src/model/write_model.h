// Writing a flat model as a plain ONNX model. Internal to model; tests set the limit.
#pragma once

#include <cstdint>
#include <string>

#include "backendctx/status.h"
#include "model/state.h"

namespace backendctx::model {

inline constexpr uint64_t kProtobufLimit = (1ull << 31) - 1;

// Tensors go inside while the model stays within `limit` bytes; else top-level initializers of
// kInlineLimit bytes and more go to PATH.data.
Status WriteModelWithin(uint64_t limit, const FlatModel::State& state, const std::string& path,
                        bool force);

}  // namespace backendctx::model
