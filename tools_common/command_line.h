// The frame of both tools: global flags, verbs, usage errors, exit codes.
//
//   CommandLine line("bctx-inspect", "reads packages, never changes them", version);
//   AddShow(line);
//   return line.Run(argc, argv);
//
// Threads: one.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "tools_common/terminal.h"

namespace backendctx::tools {

class CommandLine {
 public:
  CommandLine(const std::string& program, const std::string& about, const std::string& version);

  // A verb. `example` is the line that its help ends with; `action` gives the exit code.
  CLI::App* Verb(const std::string& name, const std::string& about, const std::string& example,
                 std::function<int()> action);
  // A verb below a verb: `trust add`.
  CLI::App* SubVerb(CLI::App* parent, const std::string& name, const std::string& about,
                    const std::string& example, std::function<int()> action);
  CLI::App* Group(const std::string& name, const std::string& about, const std::string& example);

  int Run(int argc, char** argv);

 private:
  int Dispatch(int argc, char** argv);
  int UsageError(const CLI::ParseError& error, int argc, char** argv);

  std::string program_;
  CLI::App app_;
  TerminalOptions terminal_;
  std::function<int()> action_;
};

}  // namespace backendctx::tools
