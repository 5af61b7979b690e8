// aarch64 blobs, run under qemu-user in bctx-run-aarch64.
#pragma once

#include <string>
#include <vector>

#include "cpu_attention/case.h"

namespace backendctx::cpu_attention::test {

// Empty: blobs can be run. Else what is missing.
std::string EmulatorMissing();

// Outputs in the problem's y layout, one for each of the inputs; error: what bctx-run said.
std::vector<std::vector<float>> RunEmulated(const Blob& blob, const std::vector<Inputs>& inputs,
                                            std::string* error);

// The same through bctx-run and the driver plug-in of this machine.
std::vector<std::vector<float>> RunFresh(const Blob& blob, const std::vector<Inputs>& inputs,
                                         std::string* error);

}  // namespace backendctx::cpu_attention::test
