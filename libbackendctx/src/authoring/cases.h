// Inputs to try a region with: several shapes, several kinds of masks, always the same numbers.
#pragma once

#include <vector>

#include "authoring/request.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {

// Element types of ONNX that cases are made of.
inline constexpr int32_t kFloat = 1, kInt32 = 6, kInt64 = 7, kBool = 9, kFloat16 = 10, kDouble = 11,
                         kBfloat16 = 16;

// Of recognised attention: one list of tensors per case, in the order of the partition's inputs.
// InvalidArgument when an input's shape is not known in terms of the free dimensions, or its type
// cannot be drawn.
Result<std::vector<std::vector<proof::Tensor>>> MakeCases(const PartitionForPlugin& partition,
                                                          const Region& region);

// Of any other partition: what its boundary types allow. Nothing is known of what the numbers mean
// (sizes that must agree, indices that must be in range), so a runtime may refuse some of them.
Result<std::vector<std::vector<proof::Tensor>>> MakeGeneralCases(
    const PartitionForPlugin& partition, const Region& region);

// How far two answers are apart, relative to the largest finite magnitude of `expected`; infinite
// when shapes, types, infinities or NaNs differ.
double Difference(const std::vector<proof::Tensor>& found,
                  const std::vector<proof::Tensor>& expected);

}  // namespace backendctx::authoring
