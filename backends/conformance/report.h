// What one check found. The process of a check prints it, one line each.
#pragma once

#include <backendctx/plugin_abi.h>

#include <cstdarg>
#include <cstdint>
#include <string>
#include <string_view>

namespace backendctx::conformance {

class Report {
 public:
  // The plug-in breaks a rule of the interface; the check goes on.
  void Fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // What was done, for people: "6 of 8 models".
  void Note(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // Why there was nothing to check.
  void Skip(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // What another process must find too.
  void Same(uint64_t number);
  // What the checks that follow are about; stands before each failure.
  void About(std::string what) { about_ = std::move(what); }

  int failures() const { return failures_; }

 private:
  void Line(const char* kind, const char* format, std::va_list arguments);
  std::string about_;
  int failures_ = 0;
};

// An error as a plug-in fills it, with room behind to see whether it wrote too far.
struct ErrorBuffer {
  ErrorBuffer();
  bctx_error* get() { return &error; }
  bctx_error error;
};

// Whether a text keeps the rules of texts: UTF-8 without control characters, short.
bool IsClean(const char* text, size_t limit);
// That `code` is `expected` and, unless that is OK, that the message is one that people can read.
void ExpectCode(Report* report, bctx_code code, bctx_code expected, const bctx_error& error);
// That it is some failure, well said.
void ExpectFailure(Report* report, bctx_code code, const bctx_error& error);

}  // namespace backendctx::conformance
