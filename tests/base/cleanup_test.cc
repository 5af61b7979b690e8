#include "backendctx/cleanup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/os/file.h"
#include "base/os/process.h"
#include "support/scratch.h"

using namespace backendctx;  // NOLINT: tests read better without
using test::Scratch;

namespace {

extern "C" void OnSignal(int signal) {
  CleanUpAfterSignal();
  _exit(128 + signal);
}

// What a process does that ends by a signal; its exit code.
int InProcess(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGTERM, OnSignal);
    work();
    raise(SIGTERM);
    _exit(1);
  }
  int state = 0;
  REQUIRE(waitpid(child, &state, 0) == child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

}  // namespace

TEST_CASE("a signal takes away the files that are under way", "[base]") {
  const Scratch scratch;
  const std::string folder = scratch.path().string();
  const int code = InProcess([&] {
    auto kept = os::AtomicFile::Create(scratch / "kept", os::AtomicFile::kMustBeNew);
    if (!kept || !kept->Write("whole").ok() || !kept->Commit().ok()) _exit(2);
    auto file = os::AtomicFile::Create(scratch / "half", os::AtomicFile::kMustBeNew);
    if (!file || !file->Write("ha").ok()) _exit(3);
    const os::AtomicFile moved = std::move(*file);
    const auto temporary = os::TemporaryFolder::Make(folder);
    if (!temporary) _exit(4);
    for (int i = 0; i < 100; ++i) {  // more than one reading of the folder
      const std::string name = temporary->path() + "/a-name-of-some-length-" + std::to_string(i);
      if (!os::WriteFile(name, "x", os::AtomicFile::kMustBeNew).ok()) _exit(5);
    }
    if (!os::MakeFolders(temporary->path() + "/in/side").ok()) _exit(6);
    raise(SIGTERM);
  });
  CHECK(code == 128 + SIGTERM);
  const auto left = os::ListFolder(folder);
  REQUIRE(left);
  CHECK(*left == std::vector<std::string>{"kept"});
}

TEST_CASE("what has gone its way is not taken by a signal", "[base]") {
  const Scratch scratch;
  const std::string path = scratch / "file";
  const int code = InProcess([&] {
    {
      const TemporaryPath registered(path);
    }
    if (!os::WriteFile(path, "x", os::AtomicFile::kMustBeNew).ok()) _exit(2);
  });
  CHECK(code == 128 + SIGTERM);
  CHECK(os::Exists(path));
}

TEST_CASE("a signal stops the children", "[base]") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const int code = InProcess([&] {
    const pid_t child = fork();
    if (child == 0) {
      while (true) pause();  // holds the pipe until it is killed
    }
    const ChildProcess registered(child);
    raise(SIGTERM);
  });
  CHECK(code == 128 + SIGTERM);
  close(ends[1]);
  char byte = 0;
  CHECK(read(ends[0], &byte, 1) == 0);  // nobody has the other end any more
  close(ends[0]);
}
