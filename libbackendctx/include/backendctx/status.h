// Status and Result<T>: how every function of the library reports failure.
//
// No exception leaves the library and nothing is printed. A function that can fail returns Status,
// or Result<T> where it makes something. Text is lower case, without a period, and names the
// object, what was found and what was expected: "x.bctx: offset 16: found major version 9,
// expected 0". `Detail` carries the same in fields, for programs.
//
//   Result<Package> package = Package::Open("model.onnx", {});
//   if (!package) return package.status();
//
// Threads: plain values, no shared state.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "backendctx/export.h"

namespace backendctx {

// What a caller can do differs by code; the tools' exit codes follow from it (see ExitCode).
enum class StatusCode {
  kOk = 0,
  kInvalidArgument,     // the caller asked for something that makes no sense
  kNotFound,            // a name that the package or model lacks
  kIo,                  // the operating system refused; a missing file too
  kMalformed,           // structure that no writer of this format makes
  kCorrupt,             // bytes that differ from their digest, or a signature that does not verify
  kUnsafePath,          // a path that leaves the package
  kUnsupportedVersion,  // made for a later reader
  kIncompatible,        // sound, but not for this machine
  kUntrusted,           // sound, but signed by nobody whom the caller trusts
  kResourceExhausted,   // a limit of the open options was reached
  kUnimplemented,       // a construct that this version refuses by name
  kInternal,            // a defect of this library
};

// The name of a code as reports print it: "malformed", "unsafe-path".
BCTX_API const char* StatusCodeName(StatusCode code);
// The exit code of a tool that fails with this code.
BCTX_API int ExitCode(StatusCode code);

// Where a failure was met. Empty members were not known.
struct Detail {
  std::string file{};  // the braces let callers name some members only without a warning
  std::optional<unsigned long long> offset{};
  std::string field{};
  std::string found{};
  std::string expected{};
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  Status(StatusCode code, std::string message, Detail detail)
      : code_(code), message_(std::move(message)), detail_(std::move(detail)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const Detail& detail() const { return detail_; }

  // The same failure, met on the way to something larger: "PREFIX: message".
  BCTX_API Status WithContext(const std::string& prefix) const;
  // The same failure with the file named, unless one is already.
  BCTX_API Status InFile(const std::string& file) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
  Detail detail_;
};

inline Status OkStatus() { return {}; }

// A value or the Status that says why there is none. Members are named as those of std::expected.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T initial) : state_(std::in_place_index<0>, std::move(initial)) {}    // NOLINT: implicit
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {  // NOLINT: implicit
    if (std::get<1>(state_).ok()) {
      state_.template emplace<1>(StatusCode::kInternal, "a result was made from an ok status");
    }
  }

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Status& error() const { return std::get<1>(state_); }
  Status status() const { return has_value() ? Status() : std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace backendctx

// Leaves the function with the Status of EXPR unless it is ok.
#define BCTX_RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                       \
    if (::backendctx::Status bctx_status_ = (expr); !bctx_status_.ok()) return bctx_status_; \
  } while (false)

// BCTX_ASSIGN_OR_RETURN(auto value, Function()): the value, or leaves with the Status.
#define BCTX_ASSIGN_OR_RETURN(lhs, expr) \
  BCTX_ASSIGN_OR_RETURN_IMPL_(BCTX_CONCAT_(bctx_result_, __LINE__), lhs, expr)
#define BCTX_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                \
  if (!result.has_value()) return result.status();     \
  lhs = std::move(result).value()
#define BCTX_CONCAT_(a, b) BCTX_CONCAT_IMPL_(a, b)
#define BCTX_CONCAT_IMPL_(a, b) a##b
