#include "base/os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/os/descriptor.h"
#include "base/os/file.h"

extern char** environ;

namespace backendctx::os {
namespace {

constexpr size_t kErrorLimit = 4096;

using Clock = std::chrono::steady_clock;

// Reads stderr until the program closes it or the time is over; true when it was closed.
bool Drain(int fd, Clock::time_point deadline, std::string* text) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char buffer[1024];
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text->append(buffer, std::min(static_cast<size_t>(count), kErrorLimit - text->size()));
  }
}

int WaitFor(pid_t child) {
  int state = 0;
  while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

Status Spawn(const std::vector<std::string>& arguments, int error_fd, const sigset_t& signals,
             pid_t* child) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &signals);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int error = posix_spawn(child, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? OkStatus() : ErrnoStatus(arguments[0], "starting it", error);
}

}  // namespace

Result<ProcessResult> RunProcess(const std::vector<std::string>& arguments, int seconds) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(arguments.at(0), "making a pipe");
  const Descriptor read_end(ends[0]);
  pid_t child = 0;
  std::optional<ChildProcess> registered;
  {
    const Descriptor write_end(ends[1]);
    const SignalPause pause;
    BCTX_RETURN_IF_ERROR(Spawn(arguments, write_end.get(), pause.before(), &child));
    registered.emplace(child);
  }
  ProcessResult result;
  if (!Drain(read_end.get(), Clock::now() + std::chrono::seconds(seconds), &result.error_output)) {
    kill(child, SIGKILL);
    result.timed_out = true;
  }
  result.exit_code = WaitFor(child);
  return result;
}

Result<TemporaryFolder> TemporaryFolder::Make(const std::string& parent) {
  std::string path = Join(parent, "backendctx-XXXXXX");
  const SignalPause pause;
  if (mkdtemp(path.data()) == nullptr) return ErrnoStatus(path, "making a folder");
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  if (path_.empty()) return;
  std::error_code ignored;  // nothing to be done about a folder that cannot be removed
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace backendctx::os
