// The registry behind CleanUpAfterSignal: fixed tables of atomics, since a signal handler may take
// no lock and no memory. A slot goes free -> taken -> ready; the handler looks at ready ones only.
// What is registered while the handler runs in another thread is cleaned by the one who registers
// it.
#include "backendctx/cleanup.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace backendctx {
namespace {

constexpr int kSlots = 64;
constexpr int kDeepest = 8;  // folders in folders; ours are flat
constexpr size_t kLongestPath = 4096;

enum State : int { kFree, kTaken, kReady };

struct PathSlot {
  std::atomic<int> state{kFree};
  char path[kLongestPath];
};

PathSlot paths[kSlots];
std::atomic<pid_t> children[kSlots];
std::atomic<bool> stopping{false};

// One entry of getdents64; glibc's readdir takes memory.
struct DirectoryEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

void RemoveAt(int folder, const char* name, int depth) noexcept;

void EmptyFolder(int folder, int depth) noexcept {
  alignas(DirectoryEntry) char buffer[2048];
  while (true) {
    const long size = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (size <= 0) return;
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->length;
      const bool is_self =
          std::strcmp(entry->name, ".") == 0 || std::strcmp(entry->name, "..") == 0;
      if (!is_self) RemoveAt(folder, entry->name, depth);
    }
  }
}

void RemoveAt(int folder, const char* name, int depth) noexcept {
  if (unlinkat(folder, name, 0) == 0 || errno == ENOENT || depth == 0) return;
  const int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (inner < 0) return;
  EmptyFolder(inner, depth - 1);
  close(inner);
  unlinkat(folder, name, AT_REMOVEDIR);
}

void Kill(pid_t child) noexcept {
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

[[noreturn]] void StandStill() {
  while (true) pause();
}

}  // namespace

void CleanUpAfterSignal() noexcept {
  stopping = true;
  for (std::atomic<pid_t>& child : children) {
    if (const pid_t one = child.exchange(0); one > 0) Kill(one);
  }
  for (PathSlot& slot : paths) {
    if (slot.state == kReady) RemoveAt(AT_FDCWD, slot.path, kDeepest);
  }
}

SignalPause::SignalPause() {
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &held, &before_);
}

SignalPause::~SignalPause() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

TemporaryPath::TemporaryPath(const std::string& path) {
  for (int i = 0; i < kSlots && path.size() < kLongestPath; ++i) {
    int expected = kFree;
    if (!paths[i].state.compare_exchange_strong(expected, kTaken)) continue;
    std::memcpy(paths[i].path, path.c_str(), path.size() + 1);
    paths[i].state = kReady;
    slot_ = i;
    break;
  }
  if (!stopping) return;
  RemoveAt(AT_FDCWD, path.c_str(), kDeepest);
  StandStill();
}

TemporaryPath::TemporaryPath(TemporaryPath&& other) noexcept
    : slot_(std::exchange(other.slot_, -1)) {}

TemporaryPath& TemporaryPath::operator=(TemporaryPath&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

TemporaryPath::~TemporaryPath() {
  if (slot_ >= 0) paths[slot_].state = kFree;
}

ChildProcess::ChildProcess(pid_t child) {
  for (int i = 0; i < kSlots && slot_ < 0; ++i) {
    pid_t expected = 0;
    if (children[i].compare_exchange_strong(expected, child)) slot_ = i;
  }
  if (!stopping) return;
  Kill(child);
  StandStill();
}

ChildProcess::~ChildProcess() {
  if (slot_ >= 0) children[slot_] = 0;
}

}  // namespace backendctx
