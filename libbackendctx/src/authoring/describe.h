// A region in words, for what pack reports.
#pragma once

#include <string>
#include <vector>

#include "authoring/regions.h"

namespace backendctx::authoring {

// "4 heads of 64, 2 for keys and values, scale 0.125, causal, mask bias added"
std::string DescribeAttention(const patterns::Attention& attention);
// "x float32[batch, length, 64]" for each value.
std::vector<std::string> DescribeValues(const std::vector<manifest::BoundaryValue>& values);

}  // namespace backendctx::authoring
