// The instruction sets that OpenVINO makes blobs for. It imports a blob only where its own choice
// of instruction set has the same name, so a target is one of those names.
#pragma once

#include <string>
#include <vector>

namespace backendctx::openvino {

struct Target {
  const char* name;
  const char* limit;     // ONEDNN_MAX_CPU_ISA of the process that exports; "": none
  const char* isa;       // as the label of its blobs has it
  bool multiplies_int8;  // with sums that do not saturate
  std::vector<const char*> cpu_features;  // as the kernel's cpuinfo names them, sorted
};

const std::vector<Target>& Targets();
const Target* FindTarget(const std::string& name);
// Null-terminated.
const char* const* TargetNames();

}  // namespace backendctx::openvino
