#include <backendctx/status.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"

using namespace backendctx;  // NOLINT: tests read better without

namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Status(StatusCode::kInvalidArgument, "found an odd value");
  return value / 2;
}

Result<int> Quarter(int value) {
  BCTX_ASSIGN_OR_RETURN(const int half, Half(value));
  BCTX_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

}  // namespace

TEST_CASE("the macros hand on values and failures", "[base]") {
  CHECK(*Quarter(8) == 2);
  CHECK(Quarter(6).error().code() == StatusCode::kInvalidArgument);
  CHECK(Quarter(8).status().ok());
}

TEST_CASE("context and file are added to a failure and never to success", "[base]") {
  const Status plain(StatusCode::kCorrupt, "digest differs");
  CHECK(plain.WithContext("blob 3").message() == "blob 3: digest differs");
  const Status named = plain.InFile("x.bctx");
  CHECK(named.message() == "x.bctx: digest differs");
  CHECK(named.detail().file == "x.bctx");
  CHECK(named.InFile("y.onnx").message() == "x.bctx: digest differs");
  CHECK(OkStatus().WithContext("x").InFile("y").ok());
}

TEST_CASE("a result that is made from an ok status is a defect that is reported", "[base]") {
  const Result<int> result = OkStatus();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == StatusCode::kInternal);
}

TEST_CASE("every code has its name and its exit code", "[base]") {
  struct {
    StatusCode code;
    const char* name;
    int exit;
  } const expected[] = {
      {StatusCode::kOk, "ok", 0},
      {StatusCode::kInvalidArgument, "invalid-argument", 2},
      {StatusCode::kNotFound, "not-found", 2},
      {StatusCode::kIo, "io", 9},
      {StatusCode::kMalformed, "malformed", 3},
      {StatusCode::kCorrupt, "corrupt", 4},
      {StatusCode::kUnsafePath, "unsafe-path", 7},
      {StatusCode::kUnsupportedVersion, "unsupported-version", 3},
      {StatusCode::kIncompatible, "incompatible", 6},
      {StatusCode::kUntrusted, "untrusted", 5},
      {StatusCode::kResourceExhausted, "resource-exhausted", 7},
      {StatusCode::kUnimplemented, "unimplemented", 3},
      {StatusCode::kInternal, "internal", 1},
  };
  for (const auto& row : expected) {
    CHECK(std::string(StatusCodeName(row.code)) == row.name);
    CHECK(ExitCode(row.code) == row.exit);
  }
}

TEST_CASE("messages go to the callback and nowhere once it is removed", "[base]") {
  std::vector<std::string> seen;
  base::SetLogCallback(
      [&](base::LogLevel, std::string_view message) { seen.emplace_back(message); });
  base::Log(base::LogLevel::kInfo, "one");
  base::SetLogCallback({});
  base::Log(base::LogLevel::kInfo, "two");
  CHECK(seen == std::vector<std::string>{"one"});
}
