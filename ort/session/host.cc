#include "session/host.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/os/library.h"
#include "runtime/session_parts.h"

namespace backendctx::ort {
namespace {

// Not the name that hosts are told to register the provider by.
constexpr char kRegistration[] = "backendctx.session";

// What one runtime's hosts share. Counted by hand: the last one gives back and the next one
// registers under one lock, so that neither meets the other half done.
struct Shared {
  Env env;
  size_t hosts = 0;
  bool is_registered = false;
};
std::mutex mutex;
std::map<const OrtApi*, Shared>& All() {
  static auto* const all = new std::map<const OrtApi*, Shared>;
  return *all;
}

Result<std::string> ThisLibrary() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&ThisLibrary), &info) == 0 || !info.dli_fname) {
    return Status(StatusCode::kInternal, "the provider's own library has no name");
  }
  std::error_code error;
  const std::string path = std::filesystem::absolute(info.dli_fname, error).string();
  if (!error) return path;
  return Status(StatusCode::kIo, std::string(info.dli_fname) + ": " + error.message());
}

// Nothing is printed: what sessions and the provider have to say is in reports and statuses.
Result<Shared> Make(const Runtime& runtime) {
  Shared made;
  const auto silent = [](void*, OrtLoggingLevel, const char*, const char*, const char*,
                         const char*) {};
  BCTX_RETURN_IF_ERROR(runtime.Make(
      runtime.api().CreateEnvWithCustomLogger, &made.env, static_cast<OrtLoggingFunction>(+silent),
      static_cast<void*>(nullptr), ORT_LOGGING_LEVEL_ERROR, static_cast<const char*>("bctx")));
  BCTX_ASSIGN_OR_RETURN(const auto devices, ProviderDevices(runtime, made.env.get()));
  if (!devices.empty()) return made;  // a host did it: an environment is one for a process
  BCTX_ASSIGN_OR_RETURN(const std::string library, ThisLibrary());
  BCTX_RETURN_IF_ERROR(runtime.Check(runtime.api().RegisterExecutionProviderLibrary(
      made.env.get(), kRegistration, library.c_str())));
  made.is_registered = true;
  return made;
}

Result<std::string> RuntimePath(const std::string& given) {
  if (!given.empty()) return given;
  const char* const variable = std::getenv("BACKENDCTX_ORT_LIBRARY");
  if (variable != nullptr && *variable != '\0') return std::string(variable);
  return os::CurrentModuleFolder();
}

}  // namespace

Result<std::shared_ptr<const Host>> Host::Acquire(const std::string& path) {
  BCTX_ASSIGN_OR_RETURN(const std::string found, RuntimePath(path));
  const std::lock_guard lock(mutex);
  Result<Runtime> runtime = Runtime::Open(found);
  if (!runtime) return runtime.status().WithContext("ONNX Runtime's library");
  auto at = All().find(&runtime->api());
  if (at == All().end()) {
    BCTX_ASSIGN_OR_RETURN(Shared made, Make(*runtime));
    at = All().emplace(&runtime->api(), std::move(made)).first;
  }
  ++at->second.hosts;
  OrtEnv* const env = at->second.env.get();
  return std::shared_ptr<const Host>(new Host(std::move(*runtime), env));
}

Host::~Host() {
  const std::lock_guard lock(mutex);
  const auto at = All().find(&runtime_.api());
  if (--at->second.hosts != 0) return;
  if (at->second.is_registered) {
    // It stays where it is when that fails, and nothing else can be done.
    (void)runtime_.Check(
        runtime_.api().UnregisterExecutionProviderLibrary(at->second.env.get(), kRegistration));
  }
  All().erase(at);
}

}  // namespace backendctx::ort
