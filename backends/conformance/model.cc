#include "conformance/model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

namespace backendctx::conformance {
namespace {

using Binary = double (*)(double, double);
using Unary = double (*)(double);

const std::map<std::string, Binary> kBinary = {
    {"Add", [](double a, double b) { return a + b; }},
    {"Sub", [](double a, double b) { return a - b; }},
    {"Mul", [](double a, double b) { return a * b; }},
    {"Div", [](double a, double b) { return a / b; }},
};
const std::map<std::string, Unary> kUnary = {
    {"Identity", [](double a) { return a; }},
    {"Relu", [](double a) { return std::max(a, 0.0); }},
    {"Tanh", [](double a) { return std::tanh(a); }},
    {"Sigmoid", [](double a) { return 1 / (1 + std::exp(-a)); }},
    {"Erf", [](double a) { return std::erf(a); }},
};

// numpy's rule, over all but the last `kept` axes.
Dims Broadcast(const Dims& a, const Dims& b, size_t kept) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (size_t i = 1 + kept; i <= out.size(); ++i) {
    const int64_t left = i <= a.size() ? a[a.size() - i] : 1;
    const int64_t right = i <= b.size() ? b[b.size() - i] : 1;
    out[out.size() - i] = left == 1 ? right : left;
  }
  return out;
}

// Where a tensor has what belongs at `index` of a result that it broadcasts to.
int64_t Place(const Dims& dims, const Dims& to, int64_t index) {
  int64_t at = 0, stride = 1;
  for (size_t i = 1; i <= dims.size(); ++i) {
    const int64_t extent = to[to.size() - i], own = dims[dims.size() - i];
    if (own != 1) at += index % extent * stride;
    stride *= own;
    index /= extent;
  }
  return at;
}

Wide Elementwise(const Wide& a, const Wide& b, Binary operation) {
  Wide out{Broadcast(a.dims, b.dims, 0), {}};
  for (int64_t i = 0; i < Elements(out.dims); ++i) {
    out.data.push_back(operation(a.data[static_cast<size_t>(Place(a.dims, out.dims, i))],
                                 b.data[static_cast<size_t>(Place(b.dims, out.dims, i))]));
  }
  return out;
}

Wide MatMul(const Wide& a, const Wide& b) {
  Wide out{Broadcast(a.dims, b.dims, 2), {}};
  const auto batch = [](const Dims& dims) { return Dims(dims.begin(), dims.end() - 2); };
  const int64_t rows = a.dims[a.dims.size() - 2], depth = a.dims.back(), columns = b.dims.back();
  const Dims outer = batch(out.dims);
  *(out.dims.end() - 2) = rows;
  out.dims.back() = columns;
  for (int64_t i = 0; i < Elements(outer); ++i) {
    const int64_t left = Place(batch(a.dims), outer, i) * rows * depth;
    const int64_t right = Place(batch(b.dims), outer, i) * depth * columns;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        double sum = 0;
        for (int64_t k = 0; k < depth; ++k) {
          sum += a.data[static_cast<size_t>(left + row * depth + k)] *
                 b.data[static_cast<size_t>(right + k * columns + column)];
        }
        out.data.push_back(sum);
      }
    }
  }
  return out;
}

Wide Softmax(const Wide& in, int64_t axis) {
  const size_t at =
      static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(in.dims.size()) : axis);
  const int64_t n = in.dims.at(at);
  const int64_t inner =
      Elements(Dims(in.dims.begin() + static_cast<int64_t>(at) + 1, in.dims.end()));
  Wide out = in;
  const int64_t rows = n == 0 ? 0 : Elements(in.dims) / n;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row / inner * n * inner + row % inner;
    const auto each = [&](const std::function<void(double&)>& visit) {
      for (int64_t i = 0; i < n; ++i) visit(out.data[static_cast<size_t>(first + i * inner)]);
    };
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    each([&](double& x) { most = std::max(most, x); });
    each([&](double& x) { sum += x = std::exp(x - most); });
    each([&](double& x) { x /= sum; });
  }
  return out;
}

Wide Apply(const Node& node, const std::map<std::string, Wide>& values) {
  const Wide& a = values.at(node.inputs.at(0));
  if (const auto unary = kUnary.find(node.op); unary != kUnary.end()) {
    Wide out = a;
    for (double& x : out.data) x = unary->second(x);
    return out;
  }
  if (node.op == "Softmax") return Softmax(a, node.axis.value_or(-1));
  const Wide& b = values.at(node.inputs.at(1));
  if (node.op == "MatMul") return MatMul(a, b);
  const auto binary = kBinary.find(node.op);
  if (binary == kBinary.end()) throw std::runtime_error("no such operator: " + node.op);
  return Elementwise(a, b, binary->second);
}

}  // namespace

int64_t Elements(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

Tensor RandomTensor(const Dims& dims, uint64_t seed) {
  Tensor tensor{dims, {}};
  uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (int64_t i = 0; i < Elements(dims); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    tensor.data.push_back(static_cast<float>(static_cast<double>(state >> 40) / (1 << 23) - 1));
  }
  return tensor;
}

std::vector<Tensor> RandomInputs(const Model& model, size_t shape) {
  std::vector<Tensor> inputs;
  for (const Dims& dims : model.shapes.at(shape)) {
    inputs.push_back(RandomTensor(dims, 100 * shape + inputs.size() + 1));
  }
  return inputs;
}

std::map<std::string, Wide> Evaluate(const Model& model, const std::vector<Tensor>& inputs) {
  std::map<std::string, Wide> values;
  const auto widen = [](const Tensor& tensor) {
    return Wide{tensor.dims, {tensor.data.begin(), tensor.data.end()}};
  };
  for (size_t i = 0; i < inputs.size(); ++i) values[model.inputs[i].name] = widen(inputs[i]);
  for (const auto& [name, tensor] : model.constants) values[name] = widen(tensor);
  for (const Node& node : model.nodes) values[node.output] = Apply(node, values);
  return values;
}

}  // namespace backendctx::conformance
