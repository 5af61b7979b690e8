#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/bytes.h"
#include "base/os/descriptor.h"
#include "base/os/file.h"

namespace backendctx::os {
namespace {

// Unique among the processes that may write to one folder; what it holds is not secret.
std::string TemporaryName(const std::string& target) {
  static std::atomic<uint32_t> counter{0};
  return Join(FolderOf(target), fmt::format(".bctx-tmp-{}-{}", getpid(), counter.fetch_add(1)));
}

int RenameNew(const char* from, const char* to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // A file system without that flag: a hard link is as exclusive.
  if (link(from, to) != 0) return -1;
  return unlink(from);
}

}  // namespace

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : file_(std::move(other.file_)),
      temporary_(std::exchange(other.temporary_, {})),
      target_(std::move(other.target_)),
      registered_(std::move(other.registered_)),
      existing_(other.existing_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(temporary_, other.temporary_);
  std::swap(target_, other.target_);
  std::swap(registered_, other.registered_);
  std::swap(existing_, other.existing_);
  return *this;
}

AtomicFile::~AtomicFile() { Discard(); }

void AtomicFile::Discard() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
  temporary_.clear();
  registered_ = TemporaryPath();
}

Result<AtomicFile> AtomicFile::Create(const std::string& target, Existing existing, uint32_t mode) {
  if (IsFolder(target)) return ErrnoStatus(target, "create", EISDIR);
  if (existing == kMustBeNew && Exists(target)) return ErrnoStatus(target, "create", EEXIST);
  struct stat info{};
  if (existing == kMustBeNew && lstat(target.c_str(), &info) == 0) {
    return Status(StatusCode::kIo,
                  fmt::format("{}: create: found a symbolic link that leads nowhere", target),
                  {.file = target});
  }
  if (stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return UnsafePath(target, "a device or a pipe", "a regular file, or none");
  }
  // A process that was killed may have left a file of the same name behind; a few tries pass it.
  for (int tries = 0; tries < 100; ++tries) {
    std::string temporary = TemporaryName(target);
    const SignalPause pause;
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        static_cast<mode_t>(mode));
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return ErrnoStatus(target, "create");
    AtomicFile out;
    out.file_ = File::FromDescriptor(fd, target);
    out.registered_ = TemporaryPath(temporary);
    out.temporary_ = std::move(temporary);
    out.target_ = target;
    out.existing_ = existing;
    return out;
  }
  return ErrnoStatus(target, "create", EEXIST);
}

Status AtomicFile::Write(std::string_view bytes) { return file_.Write(base::AsBytes(bytes)); }

Status AtomicFile::Commit() {
  BCTX_RETURN_IF_ERROR(file_.Sync());
  const int renamed = existing_ == kReplace ? rename(temporary_.c_str(), target_.c_str())
                                            : RenameNew(temporary_.c_str(), target_.c_str());
  if (renamed != 0) return ErrnoStatus(target_, "rename");
  temporary_.clear();
  registered_ = TemporaryPath();
  return SyncFolder(FolderOf(target_));
}

Status WriteFile(const std::string& path, std::string_view bytes, AtomicFile::Existing existing,
                 uint32_t mode) {
  BCTX_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::Create(path, existing, mode));
  BCTX_RETURN_IF_ERROR(out.Write(bytes));
  return out.Commit();
}

}  // namespace backendctx::os
