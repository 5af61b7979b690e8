// How functions of this backend fail: a bctx_code and a text, carried to the plug-in's edge.
#pragma once

#include <backendctx/plugin_abi.h>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

namespace backendctx::openvino {

struct [[nodiscard]] Outcome {
  bctx_code code = BCTX_OK;
  std::string message;

  bool ok() const { return code == BCTX_OK; }
};

inline Outcome Malformed(std::string message) { return {BCTX_MALFORMED, std::move(message)}; }
inline Outcome Unsupported(std::string message) { return {BCTX_UNSUPPORTED, std::move(message)}; }
inline Outcome Incompatible(std::string message) { return {BCTX_INCOMPATIBLE, std::move(message)}; }
inline Outcome Invalid(std::string message) { return {BCTX_INVALID_ARGUMENT, std::move(message)}; }
inline Outcome Broken(std::string message) { return {BCTX_INTERNAL, std::move(message)}; }

#define BCTX_RETURN_UNLESS_OK(expression) \
  do {                                    \
    Outcome outcome_ = (expression);      \
    if (!outcome_.ok()) return outcome_;  \
  } while (false)

// As the interface has its messages: one line of plain text that begins in lower case and has no
// period. OpenVINO quotes whatever bytes it stumbles over.
inline std::string AsMessage(std::string text) {
  for (char& byte : text) {
    if (byte < ' ' || byte > '~') byte = '?';
  }
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  const bool is_word = text.size() > 1 && text[1] >= 'a' && text[1] <= 'z';
  if (is_word && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + 'a' - 'A');
  return text;
}

inline bctx_code Report(const Outcome& outcome, bctx_error* error) {
  if (!outcome.ok() && error != nullptr && error->struct_size >= sizeof(bctx_error)) {
    std::snprintf(error->message, sizeof(error->message), "%s", AsMessage(outcome.message).c_str());
  }
  return outcome.code;
}

// An edge of the plug-in: what `work` returns, and no exception.
template <typename Work>
bctx_code AtEdge(bctx_error* error, const Work& work) {
  try {
    return Report(work(), error);
  } catch (const std::exception& exception) {
    return Report(Broken(exception.what()), error);
  }
}

}  // namespace backendctx::openvino
