// Taking away what a program has under way when a signal ends it.
//
// Files that appear complete or not at all are written under a temporary name first, and proofs run
// in child processes with folders of their own. Destructors remove all that; a signal that ends the
// process runs none of them. A program that wants no remains calls CleanUpAfterSignal in its
// handler:
//
//   extern "C" void OnSignal(int signal) { CleanUpAfterSignal(); _exit(128 + signal); }
//
// The library itself installs no handler.
//
// Threads: everything here may be called from any thread at any time.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>

#include "backendctx/export.h"

namespace backendctx {

// Kills and reaps the children and removes the temporary files and folders that are registered now;
// whoever registers one afterwards stands still. Async-signal-safe. To be followed by _exit.
BCTX_API void CleanUpAfterSignal() noexcept;

// Holds SIGINT and SIGTERM back from this thread while something is made and registered.
class BCTX_API SignalPause {
 public:
  SignalPause();
  ~SignalPause();
  SignalPause(const SignalPause&) = delete;
  SignalPause& operator=(const SignalPause&) = delete;
  const sigset_t& before() const { return before_; }  // what a child process should get

 private:
  sigset_t before_;
};

// A file, or a folder with all that is in it, that CleanUpAfterSignal removes. Destroying this
// removes nothing. There is room for 64 at once, with paths up to 4095 bytes; more are not known to
// CleanUpAfterSignal.
class BCTX_API TemporaryPath {
 public:
  TemporaryPath() = default;
  explicit TemporaryPath(const std::string& path);
  TemporaryPath(TemporaryPath&& other) noexcept;
  TemporaryPath& operator=(TemporaryPath&& other) noexcept;
  ~TemporaryPath();

 private:
  int slot_ = -1;
};

// A process of ours that CleanUpAfterSignal kills. To be destroyed when it has been waited for.
class BCTX_API ChildProcess {
 public:
  explicit ChildProcess(pid_t child);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

 private:
  int slot_ = -1;
};

}  // namespace backendctx
