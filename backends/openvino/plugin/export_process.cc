#include "plugin/export_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "plugin/neighbours.h"

namespace backendctx::openvino {
namespace {

constexpr char kProgram[] = "bctx-openvino-export";
constexpr int kAnswerFd = 3;
constexpr size_t kMaxWords = 400;

// A file in memory: the child inherits it, so nothing is left behind on a disk and no pipe can
// block.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(memfd_create(name, MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  bool Write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return lseek(fd_, 0, SEEK_SET) == 0;
  }
  std::string Read() const {
    struct stat state{};
    std::string bytes;
    if (fstat(fd_, &state) != 0) return bytes;
    bytes.resize(static_cast<size_t>(state.st_size));
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count =
          pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  int fd_;
};

// What changes what OpenVINO does stays out; where libraries are found stays in.
std::vector<std::string> Environment(const std::string& limit) {
  std::vector<std::string> environment;
  for (const char* name : {"LD_LIBRARY_PATH", "LD_PRELOAD", "TMPDIR"}) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(std::string(name) + "=" + value);
    }
  }
  if (!limit.empty()) environment.push_back("ONEDNN_MAX_CPU_ISA=" + limit);
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>* texts) {
  std::vector<char*> pointers;
  for (std::string& text : *texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

int Spawn(const std::string& program, const std::string& limit, const MemoryFile& request,
          const MemoryFile& words, const MemoryFile& answer, pid_t* child) {
  std::vector<std::string> arguments = {program}, environment = Environment(limit);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, request.fd(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, words.fd(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, answer.fd(), kAnswerFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &none);
  const int error = posix_spawn(child, program.c_str(), &actions, &attributes,
                                Pointers(&arguments).data(), Pointers(&environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::string LastWords(const MemoryFile& words, int state) {
  std::string text = WIFSIGNALED(state) ? "signal " + std::to_string(WTERMSIG(state))
                                        : "exit code " + std::to_string(WEXITSTATUS(state));
  std::string said = words.Read();
  while (!said.empty() && said.back() == '\n') said.pop_back();
  if (said.empty()) return text;
  if (said.size() > kMaxWords) said.erase(0, said.size() - kMaxWords);
  for (char& c : said) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text + ": " + said;
}

}  // namespace

Outcome RunExport(const ExportRequest& request, const std::string& limit, ExportAnswer* answer) {
  const MemoryFile in("request"), words("words"), out("answer");
  // The child's standard streams would overwrite those of lower numbers.
  for (const MemoryFile* file : {&in, &words, &out}) {
    if (file->fd() <= STDERR_FILENO) return Broken("there is no memory file to be had");
  }
  if (!in.Write(Encode(request))) return Broken("there is no memory for the export's request");
  const std::string program = Neighbour(kProgram);
  pid_t child = 0;
  if (const int error = Spawn(program, limit, in, words, out, &child); error != 0) {
    return Broken(program + ": starting it: " + std::strerror(error));
  }
  int state = 0;
  while (waitpid(child, &state, 0) < 0) {
    if (errno != EINTR) return Broken(program + ": waiting for it: " + std::strerror(errno));
  }
  const bool is_done = WIFEXITED(state) && WEXITSTATUS(state) == 0;
  if (!is_done || !Decode(out.Read(), answer)) {
    return Unsupported("OpenVINO's process ended with " + LastWords(words, state));
  }
  if (answer->code != BCTX_OK) return {static_cast<bctx_code>(answer->code), answer->message};
  return {};
}

}  // namespace backendctx::openvino
