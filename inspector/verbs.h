// The verbs of bctx-inspect, one file each.
#pragma once

#include "tools_common/command_line.h"

namespace backendctx::tools {

void AddShow(CommandLine& line);
void AddSize(CommandLine& line);
void AddVerify(CommandLine& line);
void AddWhy(CommandLine& line);
void AddHost(CommandLine& line);
void AddOps(CommandLine& line);
void AddExtract(CommandLine& line);
void AddRun(CommandLine& line);

}  // namespace backendctx::tools
