// The two forms of bctx-inspect show.
#pragma once

#include <backendctx/package.h>

#include <string>

#include "tools_common/json.h"

namespace backendctx::tools {

Result<Json> ShowJson(const Package& package, const std::string& file);
Result<std::string> ShowText(const Package& package, const std::string& file);

}  // namespace backendctx::tools
