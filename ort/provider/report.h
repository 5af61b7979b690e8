// The `report` option: the decisions as `bctx-inspect why --json` gives them, and what was
// observed.
#pragma once

#include <string>
#include <vector>

#include "provider/plan.h"

namespace backendctx::ort {

struct ObservedCall {
  std::string node, partition;
  std::string context;  // that runs it; empty: its body runs
  std::string reason;   // why its body runs
};

struct Observed {
  std::string model;
  std::string runtime;              // ONNX Runtime's version
  std::vector<ObservedCall> calls;  // in the order in which they were met
  std::string error;                // what stopped the session; empty: nothing
};

std::string ReportJson(const Plan* plan, const Observed& observed);

}  // namespace backendctx::ort
