// Inside base/os only: an owned descriptor and the checks that file.cc and beneath.cc share.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "backendctx/status.h"

namespace backendctx::os {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

Status UnsafePath(const std::string& path, const std::string& found, const std::string& expected);
// Fills `info`; UnsafePath unless the descriptor is a regular file.
Status CheckRegular(int fd, const std::string& path, struct stat* info);
// UnsafePath when the file was exchanged since `expected` was taken.
Status CheckSame(int fd, const std::string& path, const struct stat& expected);

}  // namespace backendctx::os
