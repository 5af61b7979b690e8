// How functions of this compiler fail: a bctx_code and a text, carried to the plug-in's edge.
#pragma once

#include <backendctx/plugin_abi.h>

#include <string>
#include <utility>

namespace backendctx::cpu_attention {

struct [[nodiscard]] Outcome {
  bctx_code code = BCTX_OK;
  std::string message;

  bool ok() const { return code == BCTX_OK; }
};

inline Outcome Fail(bctx_code code, std::string message) { return {code, std::move(message)}; }
inline Outcome Unsupported(std::string message) { return {BCTX_UNSUPPORTED, std::move(message)}; }

}  // namespace backendctx::cpu_attention
