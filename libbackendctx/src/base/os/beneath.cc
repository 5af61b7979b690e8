// Where a package's container may lie.
//
// A front names its container by one plain file name. A hostile package can still place a symlink
// under that name, and two programs can race to exchange it. So the decision is made on an opened
// descriptor and not on a path: openat2(RESOLVE_BENEATH) lets the kernel refuse every step out of
// the folder; where it is missing, or where the link leaves the front's folder for the folder of
// the resolved front (model caches), the path is resolved once, compared with the allowed folders,
// and then walked from that folder's descriptor with O_NOFOLLOW, so that a link that appears in
// between is refused. Only a descriptor that was seen to be a regular file is opened for reading.
#include "base/os/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/os/descriptor.h"
#include "base/text.h"

namespace backendctx::os {
namespace {

struct Folder {
  std::string path;  // resolved
  Descriptor fd;
};

Result<Folder> OpenFolder(const std::string& path) {
  BCTX_ASSIGN_OR_RETURN(std::string resolved, RealPath(path));
  Descriptor fd(open(resolved.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoStatus(path, "open");
  return Folder{std::move(resolved), std::move(fd)};
}

int OpenAt2(int folder, const char* name, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, folder, name, &how, sizeof how));
}

// `rest` holds plain steps only; every one is opened without following links.
Descriptor Walk(const Folder& folder, std::string rest, int flags) {
  Descriptor at(dup(folder.fd.get()));
  for (size_t slash = rest.find('/'); at && slash != std::string::npos; slash = rest.find('/')) {
    const std::string step = rest.substr(0, slash);
    at = Descriptor(openat(at.get(), step.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    rest.erase(0, slash + 1);
  }
  if (!at) return at;
  return Descriptor(openat(at.get(), rest.c_str(), flags | O_NOFOLLOW));
}

// What is left of `path` below `folder`, or "" when it is not below it.
std::string Below(const std::string& folder, const std::string& path) {
  const std::string prefix = folder.back() == '/' ? folder : folder + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : std::string();
}

Status LeavesPackage(const std::string& path, const std::string& resolved) {
  return UnsafePath(path, "a link to " + base::Printable(resolved),
                    "a file below the package's folder");
}

class Opener {
 public:
  Opener(std::vector<Folder> folders, std::string_view name, Resolver resolver)
      : folders_(std::move(folders)),
        name_(name),
        path_(Join(folders_[0].path, name)),
        resolver_(resolver) {}

  Result<File> Open() {
    BCTX_ASSIGN_OR_RETURN(const Descriptor seen, OpenOnce(O_PATH));
    struct stat info{};
    BCTX_RETURN_IF_ERROR(CheckRegular(seen.get(), path_, &info));
    BCTX_ASSIGN_OR_RETURN(Descriptor fd, OpenOnce(O_RDONLY | O_NONBLOCK | O_NOCTTY));
    BCTX_RETURN_IF_ERROR(CheckSame(fd.get(), path_, info));
    return File::FromDescriptor(fd.Release(), path_);
  }

 private:
  Result<Descriptor> OpenOnce(int flags) {
    if (resolver_ == Resolver::kKernel) {
      Descriptor fd(OpenAt2(folders_[0].fd.get(), name_.c_str(), flags | O_CLOEXEC));
      if (fd) return fd;
      if (errno == ENOENT || errno == EACCES) return ErrnoStatus(path_, "open");
    }
    return OpenChecked(flags | O_CLOEXEC);
  }

  Result<Descriptor> OpenChecked(int flags) {
    BCTX_ASSIGN_OR_RETURN(const std::string resolved, RealPath(path_));
    for (const Folder& folder : folders_) {
      const std::string rest = Below(folder.path, resolved);
      if (rest.empty()) continue;
      Descriptor fd = Walk(folder, rest, flags);
      if (fd) return fd;
      if (errno == ELOOP || errno == ENOTDIR) return LeavesPackage(path_, resolved);
      return ErrnoStatus(path_, "open");
    }
    return LeavesPackage(path_, resolved);
  }

  std::vector<Folder> folders_;
  std::string name_, path_;
  Resolver resolver_;
};

}  // namespace

Status CheckPlainName(std::string_view name) {
  const std::string shown = "location \"" + base::Printable(name) + "\"";
  const char* const expected = "one plain file name";
  if (name.empty()) return UnsafePath(shown, "an empty name", expected);
  if (name.size() > 255) return UnsafePath(shown, "more than 255 bytes", expected);
  if (!base::IsCleanText(name)) {
    return UnsafePath(shown, "a control character or bytes that are no UTF-8", expected);
  }
  if (name.find_first_of("/\\:") != std::string_view::npos) {
    return UnsafePath(shown, "a separator or a drive", expected);
  }
  if (name.back() == '.' || name.back() == ' ') {
    return UnsafePath(shown, "a trailing dot or space", expected);
  }
  return OkStatus();
}

Result<File> OpenBeneath(const std::string& folder, std::string_view name, Resolver resolver) {
  BCTX_RETURN_IF_ERROR(CheckPlainName(name));
  std::vector<Folder> folders;
  BCTX_ASSIGN_OR_RETURN(Folder first, OpenFolder(folder));
  folders.push_back(std::move(first));
  return Opener(std::move(folders), name, resolver).Open();
}

Result<File> OpenBeside(const std::string& front_path, std::string_view name, Resolver resolver) {
  BCTX_RETURN_IF_ERROR(CheckPlainName(name));
  BCTX_ASSIGN_OR_RETURN(const std::string front, RealPath(front_path));
  std::vector<Folder> folders;
  BCTX_ASSIGN_OR_RETURN(Folder first, OpenFolder(FolderOf(front_path)));
  folders.push_back(std::move(first));
  if (FolderOf(front) != folders[0].path) {
    BCTX_ASSIGN_OR_RETURN(Folder second, OpenFolder(FolderOf(front)));
    folders.push_back(std::move(second));
  }
  BCTX_ASSIGN_OR_RETURN(File file, Opener(std::move(folders), name, resolver).Open());
  struct stat info{};
  if (stat(front.c_str(), &info) != 0) return ErrnoStatus(front, "stat");
  if (CheckSame(file.fd(), file.path(), info).ok()) {
    return UnsafePath(file.path(), "the front itself", "its container");
  }
  return file;
}

Result<File> OpenBeneath(const std::string& folder, std::string_view name) {
  return OpenBeneath(folder, name, Resolver::kKernel);
}

Result<File> OpenBeside(const std::string& front_path, std::string_view name) {
  return OpenBeside(front_path, name, Resolver::kKernel);
}

}  // namespace backendctx::os
