#include "tools_common/command_line.h"

#include <backendctx/cleanup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <vector>

#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

extern "C" void OnSignal(int signal) {
  CleanUpAfterSignal();
  _exit(128 + signal);
}

void InstallHandlers() {
  struct sigaction action{};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

// A standard stream that the caller closed must not become the first file that is opened: messages
// would go into it. The stand-in refuses what the closed one would have refused.
void FillClosedStreams() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(file, F_GETFD) >= 0) continue;
    (void)!open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// No option and no operand of ours has a meaning for an empty text, which is a variable of a script
// that was not set.
void RefuseEmpty(CLI::App* app) {
  const auto check = [](const std::string& text) {
    return std::string(text.empty() ? "is empty" : "");
  };
  for (CLI::Option* option : app->get_options()) {
    if (option->get_items_expected_max() > 0) option->check(CLI::Validator(check, "", "not empty"));
  }
  for (CLI::App* verb : app->get_subcommands({})) RefuseEmpty(verb);
}

}  // namespace

CommandLine::CommandLine(const std::string& program, const std::string& about,
                         const std::string& version)
    : program_(program), app_(about, program) {
  app_.set_version_flag("--version", version);
  app_.add_flag("-q,--quiet", terminal_.quiet, "print errors only");
  app_.add_flag("-v,--verbose", terminal_.verbose, "say more");
  app_.add_option("--color", terminal_.color, "auto, always or never; NO_COLOR is honoured")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  app_.require_subcommand(1);
  app_.get_formatter()->column_width(30);
}

CLI::App* CommandLine::Group(const std::string& name, const std::string& about,
                             const std::string& example) {
  CLI::App* verb = app_.add_subcommand(name, about);
  verb->footer("example:\n  " + example);
  verb->fallthrough();
  return verb;
}

CLI::App* CommandLine::Verb(const std::string& name, const std::string& about,
                            const std::string& example, std::function<int()> action) {
  CLI::App* verb = Group(name, about, example);
  verb->callback([this, action] { action_ = action; });
  return verb;
}

CLI::App* CommandLine::SubVerb(CLI::App* parent, const std::string& name, const std::string& about,
                               const std::string& example, std::function<int()> action) {
  CLI::App* verb = parent->add_subcommand(name, about);
  verb->footer("example:\n  " + example);
  verb->fallthrough();
  verb->callback([this, action] { action_ = action; });
  return verb;
}

int CommandLine::UsageError(const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app_.exit(error);  // --help, --version
  SetupTerminal(program_, terminal_);
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app_.get_subcommands({})) verbs.push_back(verb->get_name());
  const std::string first = argc > 1 ? argv[1] : "";
  std::string hint = fmt::format("{} --help", program_);
  if (app_.get_subcommands().empty()) {
    if (first.empty() || first[0] == '-') {
      return FailUsage(
          fmt::format("{}; verbs are {}; see {}", error.what(), Join(verbs, ", "), hint));
    }
    return FailUsage(fmt::format("found the verb {}, expected one of {}; see {}", first,
                                 Join(verbs, ", "), hint));
  }
  hint = fmt::format("{} {} --help", program_, app_.get_subcommands().front()->get_name());
  return FailUsage(fmt::format("{}; see {}", error.what(), hint));
}

int CommandLine::Dispatch(int argc, char** argv) {
  RefuseEmpty(&app_);
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return UsageError(error, argc, argv);
  }
  SetupTerminal(program_, terminal_);
  return action_();
}

int CommandLine::Run(int argc, char** argv) {
  FillClosedStreams();
  InstallHandlers();
  int code = 1;
  try {
    code = Dispatch(argc, argv);
  } catch (const std::exception& error) {
    code = Fail(Status(StatusCode::kInternal, error.what()));
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    const int failed = Fail(
        Status(StatusCode::kIo, "stdout: the result could not be written", {.field = "stdout"}));
    if (code == 0) code = failed;
  }
  return code;
}

}  // namespace backendctx::tools
