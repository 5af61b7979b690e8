// What goes to the terminal: results on stdout, messages and progress on stderr.
//
// Threads: Setup once at the start; the rest from one thread, Progress::Update from any.
#pragma once

#include <backendctx/status.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace backendctx::tools {

struct TerminalOptions {
  bool quiet = false;  // errors only
  int verbose = 0;
  std::string color = "auto";  // "auto", "always", "never"
};

// `program` is the prefix of every message.
void SetupTerminal(const std::string& program, const TerminalOptions& options);

enum class Style { kPlain, kBold, kGood, kBad, kWarn, kDim };
// `text` in a style, when stdout shows colours: a terminal without NO_COLOR, or --color always.
std::string Paint(Style style, const std::string& text);

void Note(const std::string& text);     // not under --quiet
void Verbose(const std::string& text);  // under -v
void Warn(const std::string& text);

// Prints what went wrong and what to do next; the exit code of the tool.
int Fail(const Status& status);
int FailUsage(const std::string& text);

void Print(const std::string& text);  // stdout

// A bar on stderr, only on a terminal and only for work that takes longer than half a second.
class Progress {
 public:
  ~Progress();
  void Update(const std::string& stage, uint64_t done, uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::mutex mutex_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_{};
  bool shown_ = false;
};

}  // namespace backendctx::tools
