#include "runtime/runtime.h"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <vector>

namespace backendctx::ort {
namespace {

namespace fs = std::filesystem;

// The one library of a folder, by name; the highest where several names lead to it.
Result<std::string> FindInFolder(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.")) {
      found.push_back(it->path());
    }
  }
  if (error) return Status(StatusCode::kIo, folder + ": " + error.message());
  if (found.empty()) return Status(StatusCode::kIo, folder + ": has no libonnxruntime.so");
  return *std::max_element(found.begin(), found.end());
}

}  // namespace

Result<Runtime> Runtime::Open(const std::string& path) {
  std::string file = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    BCTX_ASSIGN_OR_RETURN(file, FindInFolder(path));
  }
  // Absolute, so that no search path is asked. Not global: the provider must not bind to it.
  const std::string absolute = fs::absolute(file, error).string();
  void* const handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = dlerror();
    return Status(StatusCode::kIo, file + ": " + (why != nullptr ? why : "cannot be loaded"));
  }
  const auto get = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
  if (get == nullptr) return Status(StatusCode::kIo, file + ": is not ONNX Runtime");
  const OrtApiBase* const base = get();
  const std::string version = base->GetVersionString();
  const OrtApi* const api = base->GetApi(kApiVersion);
  if (api == nullptr) {
    return Status(StatusCode::kUnsupportedVersion,
                  file + ": found ONNX Runtime " + version + ", expected 1.23 or later");
  }
  return Runtime(api, version);
}

}  // namespace backendctx::ort
