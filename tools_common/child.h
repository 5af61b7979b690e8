// A program of this installation, run to its end, and a folder for the files between.
//
// Threads: plain functions.
#pragma once

#include <backendctx/cleanup.h>
#include <backendctx/status.h>

#include <string>
#include <vector>

namespace backendctx::tools {

// Runs `arguments[0]`, a path; its output goes where ours goes. The exit code; 128 and the signal's
// number when a signal ended it. Io: it cannot be started.
Result<int> RunChild(const std::vector<std::string>& arguments);

// A new folder of this user's, removed with what is in it when the object goes.
class ScratchFolder {
 public:
  static Result<ScratchFolder> Make();
  ScratchFolder(ScratchFolder&& other) noexcept
      : path_(std::move(other.path_)), registered_(std::move(other.registered_)) {
    other.path_.clear();
  }
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)), registered_(path_) {}
  std::string path_;
  TemporaryPath registered_;
};

}  // namespace backendctx::tools
