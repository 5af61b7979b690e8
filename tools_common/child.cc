#include "tools_common/child.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

#include "tools_common/installation.h"

namespace backendctx::tools {

Result<int> RunChild(const std::vector<std::string>& arguments) {
  std::vector<char*> texts;
  for (const std::string& argument : arguments) {
    texts.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn does not write there
  }
  texts.push_back(nullptr);
  pid_t child = 0;
  std::optional<ChildProcess> registered;
  int error = 0;
  {
    const SignalPause pause;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &pause.before());
    error = posix_spawn(&child, texts[0], nullptr, &attributes, texts.data(), environ);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) registered.emplace(child);
  }
  if (error != 0) {
    return Status(StatusCode::kIo,
                  fmt::format("{}: cannot be started: {}", arguments[0],
                              std::generic_category().message(error)),
                  {.file = arguments[0]});
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return Status(StatusCode::kInternal, "the child process is lost");
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Result<ScratchFolder> ScratchFolder::Make() {
  std::string path = TemporaryFolder() + "/bctx-XXXXXX";
  const SignalPause pause;
  if (mkdtemp(path.data()) != nullptr) return ScratchFolder(path);
  return Status(StatusCode::kIo,
                fmt::format("{}: no temporary folder can be made: {}", TemporaryFolder(),
                            std::generic_category().message(errno)));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace backendctx::tools
