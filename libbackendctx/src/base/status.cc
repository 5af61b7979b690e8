#include "backendctx/status.h"

#include <array>

namespace backendctx {
namespace {

struct CodeInfo {
  const char* name;
  int exit_code;
};

// In the order of StatusCode.
constexpr std::array<CodeInfo, 13> kCodes = {{
    {"ok", 0},
    {"invalid-argument", 2},
    {"not-found", 2},
    {"io", 9},
    {"malformed", 3},
    {"corrupt", 4},
    {"unsafe-path", 7},
    {"unsupported-version", 3},
    {"incompatible", 6},
    {"untrusted", 5},
    {"resource-exhausted", 7},
    {"unimplemented", 3},
    {"internal", 1},
}};

const CodeInfo& Info(StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodes.size() ? kCodes[index] : kCodes.back();
}

}  // namespace

const char* StatusCodeName(StatusCode code) { return Info(code).name; }
int ExitCode(StatusCode code) { return Info(code).exit_code; }

Status Status::WithContext(const std::string& prefix) const {
  if (ok()) return *this;
  return {code_, prefix + ": " + message_, detail_};
}

Status Status::InFile(const std::string& file) const {
  if (ok() || !detail_.file.empty()) return *this;
  Status named = WithContext(file);
  named.detail_.file = file;
  return named;
}

}  // namespace backendctx
