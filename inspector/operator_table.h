// schemas/operators.json, which is compiled in: what an operator is for.
#pragma once

#include <string>

namespace backendctx::tools {

struct OperatorLevel {
  std::string level;  // "P1": exported from models, "P2": a pipeline element, "unlisted"
  std::string why;    // "" when unlisted
};

OperatorLevel LevelOf(const std::string& domain, const std::string& op_type);

}  // namespace backendctx::tools
