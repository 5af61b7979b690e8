#include "tools_common/installation.h"

#include <backendctx/version.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

namespace fs = std::filesystem;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string InPath(const std::string& program) {
  for (const std::string& folder : Split(Variable("PATH"), ':')) {
    const std::string path = folder + "/" + program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

}  // namespace

std::string ProgramFolder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string LibraryFolder() {
  Dl_info info{};
  void* symbol = dlsym(RTLD_DEFAULT, "_ZN10backendctx14LibraryVersionEv");
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "";
  std::error_code error;
  const fs::path real = fs::canonical(info.dli_fname, error);
  return error ? "" : real.parent_path().string();
}

std::string FindRuntimeLibrary() {
  if (std::string chosen = Variable("BACKENDCTX_ORT_LIBRARY"); !chosen.empty()) return chosen;
  std::error_code error;
  std::string found;
  for (const auto& entry : fs::directory_iterator(LibraryFolder(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("libonnxruntime.so", 0) == 0 && entry.path().string() > found) {
      found = entry.path().string();
    }
  }
  return found;
}

std::map<std::string, std::string> FindEmulators() {
  std::map<std::string, std::string> emulators;
  for (const char* program : {"qemu-aarch64-static", "qemu-aarch64"}) {
    const std::string path = InPath(program);
    if (!path.empty()) emulators.emplace("aarch64", path);
  }
  return emulators;
}

std::string TemporaryFolder() {
  const std::string folder = Variable("TMPDIR");
  return folder.empty() || folder[0] != '/' ? "/tmp" : folder;
}

}  // namespace backendctx::tools
