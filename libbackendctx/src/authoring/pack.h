// Pack with the plug-ins given: what <backendctx/pack.h> does after it has found them.
#pragma once

#include "backendctx/pack.h"
#include "plugin/plugin.h"

namespace backendctx::authoring {

Result<PackReport> PackWith(const std::vector<plugin::Plugin>& plugins, const std::string& model,
                            const std::string& output, const PackOptions& options);

}  // namespace backendctx::authoring
