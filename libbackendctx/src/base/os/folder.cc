#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/os/descriptor.h"
#include "base/os/file.h"

namespace backendctx::os {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string Join(const std::string& folder, std::string_view name) {
  std::string path = folder;
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

bool Exists(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0;
}

bool IsFolder(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> resolved(realpath(path.c_str(), nullptr), &free);
  if (!resolved) return ErrnoStatus(path, "open");
  return std::string(resolved.get());
}

Result<std::vector<std::string>> ListFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error);
  std::vector<std::string> names;
  while (!error && it != std::filesystem::directory_iterator()) {
    names.push_back(it->path().filename().string());
    it.increment(error);
  }
  if (error) return ErrnoStatus(folder, "list", error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Status MakeFolders(const std::string& path, uint32_t mode) {
  if (IsFolder(path)) return OkStatus();
  if (FolderOf(path) != path) BCTX_RETURN_IF_ERROR(MakeFolders(FolderOf(path), mode));
  if (mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0 || errno == EEXIST) return OkStatus();
  return ErrnoStatus(path, "make folder");
}

Status SyncFolder(const std::string& folder) {
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(folder, "open");
  // Some network file systems know no sync of folders; their rename is durable by itself.
  if (fsync(fd.get()) != 0 && errno != EINVAL) return ErrnoStatus(folder, "sync");
  return OkStatus();
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return OkStatus();
  return ErrnoStatus(path, "remove");
}

}  // namespace backendctx::os
