// Random models that the drivers of this folder can run, and their programs.
#pragma once

#include <cstdint>
#include <string>

#include "backendctx/manifest.h"
#include "model/flat_model.h"
#include "onnx/onnx_pb.h"

namespace backendctx::tests {

// Sums and products of [4, 16] tensors, with weights, small constants, shapes and an If here and
// there; inputs "x" and "second" float [4, 16], "flag" bool. Not always sorted.
onnx::ModelProto ToyModel(uint64_t seed);

// The blob of a partition.
std::string ToyProgram(const model::FlatModel& flat, const manifest::Partition& partition);

}  // namespace backendctx::tests
