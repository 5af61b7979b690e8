// What this processor and its operating system can do, named as in the kernel's cpuinfo.
#pragma once

#include <string>
#include <vector>

namespace backendctx::select {

std::string CpuArchitecture();           // "x86_64", "aarch64", else what uname says
std::string CpuModel();                  // what the processor calls itself; empty: it does not say
std::vector<std::string> CpuFeatures();  // sorted; empty where nothing is known

}  // namespace backendctx::select
