// Running a program to its end.
#pragma once

#include <string>
#include <vector>

#include "backendctx/cleanup.h"
#include "backendctx/status.h"

namespace backendctx::os {

struct ProcessResult {
  int exit_code = -1;        // 128 + signal number when a signal ended it
  bool timed_out = false;    // it was killed
  std::string error_output;  // the start of what it wrote to stderr, at most 4 KiB
};

// Runs `arguments[0]` (a path; no search) with no standard input and its output thrown away. Io
// when it cannot be started. Waits at most `seconds`, then kills it.
Result<ProcessResult> RunProcess(const std::vector<std::string>& arguments, int seconds);

// A new folder in `parent` for temporary files, readable by this user only; removed with all that
// is in it when the object goes.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> Make(const std::string& parent);
  TemporaryFolder(TemporaryFolder&& other) noexcept
      : path_(std::move(other.path_)), registered_(std::move(other.registered_)) {
    other.path_.clear();
  }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  TemporaryFolder(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)), registered_(path_) {}
  std::string path_;
  TemporaryPath registered_;
};

}  // namespace backendctx::os
