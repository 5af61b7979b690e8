// Files: read exactly, open inside a package, replace as a whole.
//
// Every failure names the file: Io for what the operating system refused (a missing file too),
// UnsafePath for a name or a file that has no business in a package.
//
// Threads: const members of File may be called from several threads at once (reads are pread).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backendctx/cleanup.h"
#include "backendctx/export.h"
#include "backendctx/status.h"

namespace backendctx::os {

// What tells two files apart, and one file from itself after a change.
struct FileIdentity {
  uint64_t device = 0, inode = 0;
  uint64_t size = 0;
  int64_t modified_ns = 0;
  uint64_t hard_links = 0;
  bool SameFile(const FileIdentity& other) const {
    return device == other.device && inode == other.inode;
  }
};

class File {
 public:
  File() = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  // A regular file, to be read; symlinks are followed. A folder, device, socket or FIFO is
  // UnsafePath, and none of them is ever opened for reading.
  static Result<File> Open(const std::string& path);
  // Takes over a descriptor; `path` is what messages call it.
  static File FromDescriptor(int fd, std::string path);

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

  Result<uint64_t> Size() const;
  Result<FileIdentity> Identity() const;
  // Fills `out` from `offset`; Io when the file ends before that.
  Status ReadExact(uint64_t offset, std::span<uint8_t> out) const;

  // Appends at the file's position; for files that AtomicFile made.
  Status Write(std::span<const uint8_t> bytes);
  Status Sync();

 private:
  int fd_ = -1;
  std::string path_;
};

// One plain file name: not empty, no separator of any system, no drive, no control character, no
// "." or "..", no trailing dot or space, clean UTF-8, at most 255 bytes. Else UnsafePath.
Status CheckPlainName(std::string_view name);

// Opens `name`, a plain file name, in the folder `folder`. A symlink may lead anywhere below it.
Result<File> OpenBeneath(const std::string& folder, std::string_view name);
// Opens `name` in the folder of the front `front_path`. The file that a symlink leads to must lie
// below that folder or below the folder of the file that the front itself is a symlink to: model
// caches keep both as links into one folder of contents. The front itself is UnsafePath.
Result<File> OpenBeside(const std::string& front_path, std::string_view name);

// A file of these bytes that is in memory alone; `path` is what messages call it.
Result<File> FileOfBytes(std::string_view bytes, const std::string& path);

// The whole file; ResourceExhausted when it is larger than `limit`.
Result<std::string> ReadFile(const std::string& path, uint64_t limit);
Result<std::string> ReadAll(const File& file, uint64_t limit);

// A file that appears under its name complete or not at all.
//
//   auto out = AtomicFile::Create("x.bctx", AtomicFile::kMustBeNew);
//   out->file()->Write(...);
//   return out->Commit();
//
// The bytes go to a temporary file in the same folder, which the destructor removes unless Commit
// has renamed it. Commit syncs the file, then the folder.
class AtomicFile {
 public:
  enum Existing { kMustBeNew, kReplace };

  static Result<AtomicFile> Create(const std::string& target, Existing existing,
                                   uint32_t mode = 0666);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  File* file() { return &file_; }
  Status Write(std::string_view bytes);
  // Io ("exists already") when the target must be new and is not.
  Status Commit();

 private:
  AtomicFile() = default;
  void Discard();

  File file_;
  std::string temporary_, target_;
  TemporaryPath registered_;
  Existing existing_ = kMustBeNew;
};

// Create, Write and Commit in one.
BCTX_API Status WriteFile(const std::string& path, std::string_view bytes,
                          AtomicFile::Existing existing, uint32_t mode = 0666);

// ---- paths and folders (folder.cc) ----

std::string FolderOf(const std::string& path);  // "." for a plain name
std::string NameOf(const std::string& path);    // what is behind the last separator
std::string Join(const std::string& folder, std::string_view name);
bool Exists(const std::string& path);  // symlinks are followed; false for what cannot be seen
bool IsFolder(const std::string& path);
Result<std::string> RealPath(const std::string& path);  // absolute, without symlinks
Result<std::vector<std::string>> ListFolder(const std::string& folder);  // names, sorted
Status MakeFolders(const std::string& path, uint32_t mode = 0777);
Status SyncFolder(const std::string& folder);
// Ok also when there is no such file.
Status RemoveFile(const std::string& path);

// "PATH: DOING: what the system said" as Io, from errno.
Status ErrnoStatus(const std::string& path, const char* doing);
Status ErrnoStatus(const std::string& path, const char* doing, int error);

}  // namespace backendctx::os
