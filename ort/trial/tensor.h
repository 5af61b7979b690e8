// Tensors of a trial: drawn, read from a file, described, compared.
//
// Threads: plain values and functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proof/proof_file.h"

namespace backendctx::ort {

struct NamedTensor {
  std::string name;
  proof::Tensor tensor;
  bool drawn = false;  // by Draw, not given
};

// "float32", "int64" ...; "type 17" for what has no name here.
std::string TypeName(int32_t element_type);
// Elements as numbers, of every type that proof::ElementSize knows.
std::vector<double> Numbers(const proof::Tensor& tensor);

struct Summary {
  double least = 0, largest = 0, mean = 0;  // of the finite elements
  uint64_t elements = 0, not_finite = 0;
};
Summary Summarise(const proof::Tensor& tensor);

// The largest difference, relative to the largest finite magnitude of `expected`; infinite when
// types, shapes, infinities or NaNs differ.
double Difference(const proof::Tensor& found, const proof::Tensor& expected);

// Numbers that most models take: floats near the normal distribution, integers 0 and 1 (they may be
// indices into anything or a mask; the first of each row is 1), always the same for the same seed.
// Nothing: a type that cannot be drawn.
std::optional<proof::Tensor> Draw(int32_t element_type, const std::vector<int64_t>& dims,
                                  uint32_t seed);

}  // namespace backendctx::ort
