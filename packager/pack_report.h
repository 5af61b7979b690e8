// What pack tells: the same report for people and for programs.
#pragma once

#include <backendctx/pack.h>

#include <string>

#include "tools_common/json.h"

namespace backendctx::tools {

Json PackReportJson(const PackReport& report, const std::string& model, const std::string& signer,
                    bool dry_run);
std::string PackReportText(const PackReport& report, const std::string& model,
                           const std::string& signer, bool dry_run, bool explain);

}  // namespace backendctx::tools
