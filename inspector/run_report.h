// What bctx-inspect run tells: the same report for people and for programs.
#pragma once

#include <string>

#include "tools_common/json.h"

namespace backendctx::tools {

// `answer`: of bctx-run-model; `report`: of the provider, null when it was not asked.
Json RunReportJson(const std::string& file, Json answer, Json report);
std::string RunReportText(const Json& json);
// Over all outputs; infinite when one differs in shape or in what is not finite.
double LargestDifference(const Json& json);

}  // namespace backendctx::tools
