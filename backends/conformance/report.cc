#include "conformance/report.h"

#include <cstdio>
#include <cstring>

namespace backendctx::conformance {
namespace {

void ExpectMessage(Report* report, const bctx_error& error) {
  constexpr size_t kRoom = sizeof(error.message);
  if (strnlen(error.message, kRoom) == kRoom) {
    report->Fail("the error message has no end");
    return;
  }
  const std::string_view message = error.message;
  if (message.empty()) {
    report->Fail("it failed and said nothing");
  } else if (!IsClean(error.message, kRoom)) {
    report->Fail("the error message has control characters");
  } else if (message.front() >= 'A' && message.front() <= 'Z') {
    report->Fail("the error message begins with an upper-case letter: %s", error.message);
  } else if (message.back() == '.') {
    report->Fail("the error message ends with a period: %s", error.message);
  }
}

}  // namespace

void Report::Line(const char* kind, const char* format, std::va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof(text), format, arguments);
  for (char* c = text; *c != '\0'; ++c) {
    if (static_cast<unsigned char>(*c) < ' ') *c = '?';
  }
  const bool has_about = !about_.empty() && std::strcmp(kind, "fail") == 0;
  std::printf("%s: %s%s%s\n", kind, has_about ? about_.c_str() : "", has_about ? ": " : "", text);
  std::fflush(stdout);
}

void Report::Fail(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  Line("fail", format, arguments);
  va_end(arguments);
  ++failures_;
}

void Report::Note(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  Line("note", format, arguments);
  va_end(arguments);
}

void Report::Skip(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  Line("skip", format, arguments);
  va_end(arguments);
}

void Report::Same(uint64_t number) {
  std::printf("same: %016llx\n", static_cast<unsigned long long>(number));
  std::fflush(stdout);
}

ErrorBuffer::ErrorBuffer() {
  std::memset(&error, 0, sizeof(error));
  error.struct_size = sizeof(error);
}

bool IsClean(const char* text, size_t limit) {
  if (text == nullptr) return false;
  const size_t size = strnlen(text, limit + 1);
  if (size > limit) return false;
  for (size_t i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < ' ' || c == 0x7f) return false;
  }
  return true;
}

void ExpectCode(Report* report, bctx_code code, bctx_code expected, const bctx_error& error) {
  if (code != expected) {
    report->Fail("found code %d (%.*s), expected %d", static_cast<int>(code), 400, error.message,
                 static_cast<int>(expected));
  }
  if (code != BCTX_OK) ExpectMessage(report, error);
}

void ExpectFailure(Report* report, bctx_code code, const bctx_error& error) {
  if (code == BCTX_OK) {
    report->Fail("it said ok, expected a failure");
  } else if (code < BCTX_OK || code > BCTX_INTERNAL) {
    report->Fail("code %d is none", static_cast<int>(code));
  } else {
    ExpectMessage(report, error);
  }
}

}  // namespace backendctx::conformance
