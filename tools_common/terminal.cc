#include "tools_common/terminal.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tools_common/hints.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct State {
  bool color = false, quiet = false;
};
State& Global() {
  static State state;
  return state;
}

// One that understands more than lines.
bool IsTerminal(int file) {
  const char* term = std::getenv("TERM");
  return isatty(file) == 1 && term != nullptr && std::string(term) != "dumb";
}

bool WantsColor(const std::string& choice, int file) {
  if (choice != "auto") return choice == "always";
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  return IsTerminal(file);
}

// Where fmt::print would throw, this does not.
void PrintError(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

void SetupTerminal(const std::string& program, const TerminalOptions& options) {
  Global().color = WantsColor(options.color, STDOUT_FILENO);
  Global().quiet = options.quiet;
  const auto mode = WantsColor(options.color, STDERR_FILENO) ? spdlog::color_mode::always
                                                             : spdlog::color_mode::never;
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode);
  auto logger = std::make_shared<spdlog::logger>(program, sink);
  // A message that cannot be written is lost, and nothing else: the exit code says the rest.
  logger->set_error_handler([](const std::string&) {});
  logger->set_pattern("%n: %^%l%$: %v");
  logger->set_level(options.quiet         ? spdlog::level::err
                    : options.verbose > 0 ? spdlog::level::debug
                                          : spdlog::level::info);
  spdlog::set_default_logger(logger);
}

std::string Paint(Style style, const std::string& text) {
  if (!Global().color || text.empty()) return text;
  static constexpr const char* kCodes[] = {"0", "1", "32", "31", "33", "2"};
  return fmt::format("\033[{}m{}\033[0m", kCodes[static_cast<size_t>(style)], text);
}

void Note(const std::string& text) { spdlog::info("{}", text); }
void Verbose(const std::string& text) { spdlog::debug("{}", text); }
void Warn(const std::string& text) { spdlog::warn("{}", text); }

int Fail(const Status& status) {
  constexpr size_t kIndent = 12;
  std::fflush(stdout);  // what was found out comes before what went wrong
  spdlog::error("{}", Escape(status.message()));
  const Detail& detail = status.detail();
  const std::string& message = status.message();
  const auto missing = [&](const std::string& part) {
    return !part.empty() && message.find(part) == std::string::npos;
  };
  const auto line = [](const char* name, const std::string& value) {
    PrintError(fmt::format("  {:<9} {}\n", name, Escape(value)));
  };
  if (missing(detail.file)) line("file", detail.file);
  if (detail.offset && missing(fmt::format("offset {}", *detail.offset))) {
    line("offset", fmt::format("{}", *detail.offset));
  }
  if (missing(detail.field)) line("field", detail.field);
  if (missing(detail.found)) line("found", detail.found);
  if (missing(detail.expected)) line("expected", detail.expected);
  if (const std::string next = Wrap(NextStep(status), kIndent); !next.empty()) {
    PrintError(fmt::format("  {:<9} {}", "next", next.substr(kIndent)));
  }
  return ExitCode(status.code());
}

int FailUsage(const std::string& text) { return Fail(Status(StatusCode::kInvalidArgument, text)); }

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Progress::~Progress() {
  if (shown_) PrintError("\r\033[K");
}

void Progress::Update(const std::string& stage, uint64_t done, uint64_t total) {
  using std::chrono::milliseconds;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (Global().quiet || !IsTerminal(STDERR_FILENO)) return;
  if (now - start_ < milliseconds(500) || now - last_ < milliseconds(80)) return;
  last_ = now;
  shown_ = true;
  constexpr size_t kWidth = 30;
  const double part = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = std::min(kWidth, static_cast<size_t>(part * kWidth));
  PrintError(fmt::format("\r\033[K{:<24} [{}{}] {:3.0f} %", Escape(stage).substr(0, 24),
                         std::string(filled, '#'), std::string(kWidth - filled, ' '), part * 100));
  std::fflush(stderr);
}

}  // namespace backendctx::tools
