// Judging an output.
#pragma once

#include <string>
#include <vector>

#include "cpu_attention/case.h"

namespace backendctx::cpu_attention::test {

// The largest error met, in units of what is allowed at ratio 1 (the honest float error).
struct Worst {
  double ratio = 0;
};

// Empty: y (in the problem's layout) is within twice the honest float implementation's largest
// error of the double reference, with a floor of 1e-6 of the largest value; NaN exactly where the
// float implementation has it. Else what is wrong. With large scores and few rows a single order of
// summation can come close to the truth by luck, so the error is the largest of three orders.
std::string Check(const Problem& problem, const Inputs& inputs, const std::vector<float>& y,
                  Worst* worst = nullptr);

std::string Describe(const Problem& problem);
std::string Describe(const Inputs& inputs);

}  // namespace backendctx::cpu_attention::test
