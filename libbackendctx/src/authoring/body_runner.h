// Running programs beside the packager: a body in ONNX Runtime, a blob in its driver.
#pragma once

#include <string>
#include <vector>

#include "backendctx/pack.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {

// Is there anything to run bodies with?
bool CanRunBodies(const ProofTools& tools);

// Runs `command REQUEST RESPONSE` in a fresh process; the encoded response, or in one line why
// there is none (Internal).
Result<std::string> RunProgram(std::vector<std::string> command, const proof::Request& request,
                               const std::string& temporary_folder);

// The answers of ONNX Runtime to the cases of `request`, its optimisations off. Without cases the
// session is made and nothing is run: do the operators have kernels?
Result<std::string> RunBody(const ProofTools& tools, const std::string& model,
                            proof::Request request);

}  // namespace backendctx::authoring
