// Inputs to try a region with: several shapes, several kinds of masks, always the same numbers.
#pragma once

#include <vector>

#include "authoring/request.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {

// Element types of ONNX that cases are made of.
inline constexpr int32_t kFloat = 1, kInt32 = 6, kInt64 = 7, kBool = 9, kFloat16 = 10, kDouble = 11,
                         kBfloat16 = 16;

// One list of tensors per case, in the order of the partition's inputs. InvalidArgument when an
// input's shape is not known in terms of the free dimensions, or its type cannot be drawn.
Result<std::vector<std::vector<proof::Tensor>>> MakeCases(const PartitionForPlugin& partition,
                                                          const Region& region);

// How far two answers are apart, relative to the largest finite magnitude of `expected`; infinite
// when shapes, types, infinities or NaNs differ.
double Difference(const std::vector<proof::Tensor>& found,
                  const std::vector<proof::Tensor>& expected);

}  // namespace backendctx::authoring
