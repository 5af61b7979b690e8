// A trial: one model run compiled and interpreted on the same inputs, in a process of its own.
//
// The provider is registered as every host does it; the interpreted side is ONNX Runtime's CPU
// provider alone. Inputs come from an .npz file or are drawn by the declared types.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "backendctx/status.h"

namespace backendctx::ort {

// What the parent asks: members model, runtime, provider ("" for interpreted only), options (of the
// provider), inputs (an .npz, or ""), dims (symbol -> size), compare, runs (0: no times), threads
// (0: as the runtime chooses), seed.
//
// The answer: runtime_version; inputs[] {name, type, dims, drawn}; outputs[] {name, type, dims,
// elements, least, largest, mean, not_finite, and with compare: difference, null when infinite};
// times {compiled, interpreted}: {load_ms, first_ms, and with runs: median_ms, least_ms}.
Result<nlohmann::ordered_json> RunTrial(const nlohmann::json& request);

}  // namespace backendctx::ort
