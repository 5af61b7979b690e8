// Judging an output.
#pragma once

#include <string>
#include <vector>

#include "cpu_attention/case.h"

namespace backendctx::cpu_attention::test {

// Largest error of each checked output over that of the honest float implementation.
struct Errors {
  std::vector<double> ratios;

  double Mean() const;
};

// Empty: y (in the problem's layout) is within twice the honest float implementation's largest
// error of the double reference, with a floor of 1e-6 of the largest value; NaN exactly where the
// float implementation has it. Else what is wrong. With large scores and few rows one order of
// summation can come close to the truth by luck, so more orders are asked before one is refused.
std::string Check(const Problem& problem, const Inputs& inputs, const std::vector<float>& y,
                  Errors* errors = nullptr);

std::string Describe(const Problem& problem);
std::string Describe(const Inputs& inputs);

}  // namespace backendctx::cpu_attention::test
