#include "base/log.h"

#include <memory>
#include <mutex>

namespace backendctx::base {
namespace {

struct State {
  std::mutex mutex;
  std::shared_ptr<const LogCallback> callback;
};

// Never destroyed: other threads may log while the process exits.
State& GetState() {
  static State* const state = new State;
  return *state;
}

}  // namespace

void SetLogCallback(LogCallback callback) {
  auto shared = callback ? std::make_shared<const LogCallback>(std::move(callback)) : nullptr;
  const std::lock_guard lock(GetState().mutex);
  GetState().callback = std::move(shared);
}

void Log(LogLevel level, std::string_view message) {
  std::shared_ptr<const LogCallback> callback;
  {
    const std::lock_guard lock(GetState().mutex);
    callback = GetState().callback;
  }
  if (callback) (*callback)(level, message);
}

}  // namespace backendctx::base
