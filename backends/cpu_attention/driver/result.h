// How functions of this driver fail: a bctx_code and a text, carried to the plug-in's edge.
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

inline Outcome Malformed(std::string message) { return {BCTX_MALFORMED, std::move(message)}; }
inline Outcome Incompatible(std::string message) { return {BCTX_INCOMPATIBLE, std::move(message)}; }
inline Outcome Invalid(std::string message) { return {BCTX_INVALID_ARGUMENT, std::move(message)}; }

#define BCTX_RETURN_UNLESS_OK(expression) \
  do {                                    \
    Outcome outcome_ = (expression);      \
    if (!outcome_.ok()) return outcome_;  \
  } while (false)

}  // namespace backendctx::cpu_attention
