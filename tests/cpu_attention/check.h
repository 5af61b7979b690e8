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
// float implementation has it. Else what is wrong.
//
// What rounding does to one row depends on the order of its sums, and that order is free: of two
// queries and two keys with scores near 100, two thousand orders have errors from 1.0e-7 to 2.4e-6,
// spread as the size of a normal number. One order is therefore no yardstick where few rows count:
// because there are few, or because a softcap or a mask leaves most of them insensitive. Before an
// output is refused, 64 orders are asked. A sound kernel then fails by chance about once in 100,000
// such outputs; one that is four times as far off as others fails where many rows count, and on
// average.
std::string Check(const Problem& problem, const Inputs& inputs, const std::vector<float>& y,
                  Errors* errors = nullptr);

std::string Describe(const Problem& problem);
std::string Describe(const Inputs& inputs);

}  // namespace backendctx::cpu_attention::test
