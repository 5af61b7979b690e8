#include "base/os/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/os/descriptor.h"

namespace backendctx::os {

Status ErrnoStatus(const std::string& path, const char* doing, int error) {
  Detail detail;
  detail.file = path;
  return {StatusCode::kIo,
          fmt::format("{}: {}: {}", path, doing, std::generic_category().message(error)),
          std::move(detail)};
}

Status ErrnoStatus(const std::string& path, const char* doing) {
  return ErrnoStatus(path, doing, errno);
}

Status UnsafePath(const std::string& path, const std::string& found, const std::string& expected) {
  Detail detail;
  detail.file = path;
  detail.found = found;
  detail.expected = expected;
  return {StatusCode::kUnsafePath, fmt::format("{}: found {}, expected {}", path, found, expected),
          std::move(detail)};
}

Status CheckRegular(int fd, const std::string& path, struct stat* info) {
  if (fstat(fd, info) != 0) return ErrnoStatus(path, "stat");
  if (S_ISREG(info->st_mode)) return OkStatus();
  const char* kind = S_ISDIR(info->st_mode)    ? "a folder"
                     : S_ISFIFO(info->st_mode) ? "a FIFO"
                     : S_ISSOCK(info->st_mode) ? "a socket"
                                               : "a device";
  return UnsafePath(path, kind, "a regular file");
}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

File File::FromDescriptor(int fd, std::string path) {
  File file;
  file.fd_ = fd;
  file.path_ = std::move(path);
  return file;
}

// Looked at through a path descriptor first: opening a device or a FIFO would act on it.
Result<File> File::Open(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return UnsafePath(path.substr(0, path.find('\0')), "a NUL in the path", "none");
  }
  const Descriptor seen(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!seen) return ErrnoStatus(path, "open");
  struct stat expected{};
  BCTX_RETURN_IF_ERROR(CheckRegular(seen.get(), path, &expected));
  Descriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(path, "open");
  BCTX_RETURN_IF_ERROR(CheckSame(fd.get(), path, expected));
  return FromDescriptor(fd.Release(), path);
}

Status CheckSame(int fd, const std::string& path, const struct stat& expected) {
  struct stat found{};
  if (fstat(fd, &found) != 0) return ErrnoStatus(path, "stat");
  if (found.st_dev == expected.st_dev && found.st_ino == expected.st_ino) return OkStatus();
  return UnsafePath(path, "another file on the second look", "the same file");
}

Result<uint64_t> File::Size() const {
  BCTX_ASSIGN_OR_RETURN(const FileIdentity identity, Identity());
  return identity.size;
}

Result<FileIdentity> File::Identity() const {
  struct stat info{};
  if (fstat(fd_, &info) != 0) return ErrnoStatus(path_, "stat");
  return FileIdentity{.device = info.st_dev,
                      .inode = info.st_ino,
                      .size = static_cast<uint64_t>(info.st_size),
                      .modified_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
                      .hard_links = info.st_nlink};
}

Status File::ReadExact(uint64_t offset, std::span<uint8_t> out) const {
  constexpr size_t kPiece = size_t{1} << 30;  // Linux moves at most 2 GiB in one call
  while (!out.empty()) {
    if (offset > static_cast<uint64_t>(INT64_MAX) - kPiece) {
      return ErrnoStatus(path_, "read", EOVERFLOW);
    }
    const size_t wanted = std::min(out.size(), kPiece);
    const ssize_t count = pread(fd_, out.data(), wanted, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(path_, "read");
    if (count == 0) {
      Detail detail;
      detail.file = path_;
      detail.offset = offset;
      return {StatusCode::kIo,
              fmt::format("{}: the file ends at offset {}, expected {} more bytes", path_, offset,
                          out.size()),
              std::move(detail)};
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return OkStatus();
}

Status File::Write(std::span<const uint8_t> bytes) {
  constexpr size_t kPiece = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), std::min(bytes.size(), kPiece));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return OkStatus();
}

Status File::Sync() { return fsync(fd_) == 0 ? OkStatus() : ErrnoStatus(path_, "sync"); }

Result<std::string> ReadAll(const File& file, uint64_t limit) {
  BCTX_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (size > limit) {
    Detail detail;
    detail.file = file.path();
    detail.field = "size";
    detail.found = fmt::format("{} bytes", size);
    detail.expected = fmt::format("at most {}", limit);
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("{}: found {} bytes, the limit is {}", file.path(), size, limit),
                  std::move(detail));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  BCTX_RETURN_IF_ERROR(file.ReadExact(0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

Result<File> FileOfBytes(std::string_view bytes, const std::string& path) {
  const int fd = memfd_create("bctx", MFD_CLOEXEC);
  if (fd < 0) return ErrnoStatus(path, "keep in memory");
  File file = File::FromDescriptor(fd, path);
  BCTX_RETURN_IF_ERROR(file.Write(base::AsBytes(bytes)));
  return file;
}

Result<std::string> ReadFile(const std::string& path, uint64_t limit) {
  BCTX_ASSIGN_OR_RETURN(const File file, File::Open(path));
  return ReadAll(file, limit);
}

}  // namespace backendctx::os
