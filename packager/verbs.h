// The verbs of bctx-pack, one file each.
#pragma once

#include "tools_common/command_line.h"

namespace backendctx::tools {

void AddPack(CommandLine& line);
void AddRestore(CommandLine& line);
void AddEncode(CommandLine& line);
void AddProve(CommandLine& line);
void AddMerge(CommandLine& line);
void AddKeygen(CommandLine& line);
void AddTrust(CommandLine& line);
void AddBackends(CommandLine& line);

}  // namespace backendctx::tools
