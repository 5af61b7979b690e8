// Which front a session runs: the package's own, or one in memory in which what was decided is
// called.
#pragma once

#include <string>
#include <vector>

#include "provider/plan.h"

namespace backendctx::ort {

// A file, or bytes whose external data are in a folder.
struct FrontSource {
  std::string path, bytes, folder;
  bool is_file = true;
};

struct LoweredPlan {
  Plan plan;
  std::string front;                // bytes; empty: the package's own front
  std::vector<std::string> scopes;  // for which it was written
  std::string declined;             // why it was not, where it would have been better
};

// `plan` was made for `model`; its package keeps what the front's own partitions are.
Result<LoweredPlan> LowerPlan(const ProviderOptions& options, const ModelFacts& model, Plan plan,
                              const OpenOptions& open);

}  // namespace backendctx::ort
