// Random models that ONNX Runtime runs, made of everything that exporters and people were seen to
// write: nested control flow, functions of the model's own, tensors in every storage form,
// attention in between, and what runtimes ignore but a model must get back (metadata, unknown
// fields ...).
//
// One seed is one model. Values that flow are float [2, 5, 16]; what differs is how they are made.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "onnx/onnx_pb.h"

namespace backendctx::tests {

struct RandomModel {
  onnx::ModelProto model;
  std::map<std::string, std::string> files;  // external data, beside the model
  std::map<std::string, int> constructs;     // what is in it, and how often
  bool runs = true;  // false: holds tensors of types that ONNX Runtime has no kernels for
};

RandomModel GenerateModel(uint64_t seed);

}  // namespace backendctx::tests
