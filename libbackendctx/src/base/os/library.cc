#include "base/os/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

#include "base/os/file.h"

namespace backendctx::os {
namespace {

std::string LoaderMessage() {
  const char* message = dlerror();
  return message != nullptr ? message : "no reason given";
}

}  // namespace

Library::Library(Library&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}

Library& Library::operator=(Library&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  return *this;
}

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

Result<Library> Library::Open(const std::string& path) {
  if (path.find('/') == std::string::npos) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: found a bare name, expected a path", path));
  }
  Library library;
  library.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library.handle_ == nullptr) {
    Detail detail;
    detail.file = path;
    return Status(StatusCode::kIo, fmt::format("{}: load: {}", path, LoaderMessage()),
                  std::move(detail));
  }
  library.path_ = path;
  return library;
}

Result<void*> Library::Symbol(const char* name) const {
  void* const symbol = dlsym(handle_, name);
  if (symbol != nullptr) return symbol;
  Detail detail;
  detail.file = path_;
  detail.field = name;
  return Status(StatusCode::kNotFound, fmt::format("{}: no symbol {}", path_, name),
                std::move(detail));
}

Result<std::string> CurrentModuleFolder() {
  Dl_info info{};
  // Any object of this library serves as the address.
  static const char anchor = 0;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) {
    return Status(StatusCode::kInternal, "the loader does not know where this library is");
  }
  BCTX_ASSIGN_OR_RETURN(const std::string path, RealPath(info.dli_fname));
  return FolderOf(path);
}

}  // namespace backendctx::os
