// The models of the conformance suite, and what they compute, in double.
//
// Small enough to need no ONNX library: float32 tensors, one output a node, one attribute (axis).
// Threads: plain values.
#pragma once

#include <backendctx/plugin_abi.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace backendctx::conformance {

inline constexpr int32_t kFloat = 1;        // onnx TensorProto.FLOAT
inline constexpr size_t kTableLimit = 128;  // bytes from which a constant is in the weight table
inline constexpr int64_t kOpset = 18;

using Dims = std::vector<int64_t>;
int64_t Elements(const Dims& dims);

struct Tensor {
  Dims dims;
  std::vector<float> data;
};

struct Node {
  std::string domain, op;
  std::vector<std::string> inputs;
  std::string output;
  std::optional<int64_t> axis;
};

struct Input {
  std::string name;
  Dims dims;  // -1: known only at run time
};

struct Model {
  std::string name;
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, Tensor>> constants;
  std::vector<Node> nodes;
  std::vector<std::string> outputs;
  std::vector<std::vector<Dims>> shapes;    // of the inputs, for each run
  std::optional<bctx_attention> attention;  // as the host recognises it
};

// Values in [-1, 1), the same on every machine.
Tensor RandomTensor(const Dims& dims, uint64_t seed);
std::vector<Tensor> RandomInputs(const Model& model, size_t shape);

struct Wide {
  Dims dims;
  std::vector<double> data;
};
// Every value of the model, by name. Throws for an operator that no case has.
std::map<std::string, Wide> Evaluate(const Model& model, const std::vector<Tensor>& inputs);

}  // namespace backendctx::conformance
