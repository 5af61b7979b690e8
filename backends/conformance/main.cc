// bctx-conformance [--only CHECK] PLUGIN.so [DRIVER.so]: whether a backend keeps the rules of
// plugin_abi.h.
//
// Each check runs in a process of its own (this program again, with --check), so that a plug-in
// that crashes fails one check and no more. Exit codes: 0 it keeps them, 2 usage, 8 it does not.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "conformance/checks.h"

namespace backendctx::conformance {

const std::vector<Check>& Checks() {
  static const std::vector<Check> checks = {
      {"table", "the table is one of version 1", &CheckTable},
      {"facts", "facts have keys of the backend's own and do not change", &CheckFacts},
      {"judge", "labels get a verdict and a reason", &CheckJudge},
      {"offer", "claims are of nodes that were offered, each once", &CheckOffer},
      {"compile", "what is offered compiles, with whole option maps, to the same bytes",
       &CheckCompile},
      {"requests", "bad requests are refused with a reason", &CheckRequests},
      {"sizes", "structs of newer hosts are taken, shorter ones refused", &CheckSizes},
      {"label", "a blob's label is what compile said", &CheckLabel},
      {"threads", "compile works from several threads", &CheckThreads},
      {"numbers", "runs give the right numbers and stay inside their outputs", &CheckNumbers},
      {"runs", "runs that cannot be are refused, and runs do not disturb each other", &CheckRuns},
      {"damage", "blobs that are cut or altered are no crash", &CheckDamage},
  };
  return checks;
}

namespace {

struct Finding {
  std::vector<std::string> failures, notes;
  std::string skipped, same;
  bool crashed = false;
};

// What is printed by the process of a check.
Finding RunCheck(const Check& check, const std::vector<std::string>& files) {
  std::string command_path(4096, '\0');
  const ssize_t size = readlink("/proc/self/exe", command_path.data(), command_path.size());
  if (size > 0) command_path.resize(static_cast<size_t>(size));
  std::vector<std::string> words = {command_path, "--check", check.name};
  words.insert(words.end(), files.begin(), files.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Finding finding;
  int ends[2];
  if (pipe(ends) != 0) {
    finding.failures.emplace_back("no pipe for its process");
    return finding;
  }
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  std::FILE* output = fdopen(ends[0], "r");
  char line[2048];
  while (std::fgets(line, sizeof(line), output) != nullptr) {
    line[std::strcspn(line, "\n")] = '\0';
    const std::string text = line;
    const size_t colon = text.find(": ");
    if (colon == std::string::npos) continue;
    const std::string kind = text.substr(0, colon), rest = text.substr(colon + 2);
    if (kind == "fail") finding.failures.push_back(rest);
    if (kind == "note") finding.notes.push_back(rest);
    if (kind == "skip") finding.skipped = rest;
    if (kind == "same") finding.same = rest;
  }
  std::fclose(output);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    finding.crashed = true;
    finding.failures.push_back("its process was ended by signal " +
                               std::to_string(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) != 0 && finding.failures.empty()) {
    finding.failures.push_back("its process ended with code " +
                               std::to_string(WEXITSTATUS(status)));
  }
  return finding;
}

int OneCheck(const std::string& name, const std::vector<std::string>& files) {
  Report report;
  try {
    const Backend backend = LoadBackend(files);
    if (name == "table" && (backend.Any().flags & BCTX_PLUGIN_FRAGILE) != 0) {
      report.Note("fragile");
    }
    for (const Check& check : Checks()) {
      if (name == check.name) check.run(backend, &report);
    }
  } catch (const std::exception& exception) {
    report.Fail("%s", exception.what());
  } catch (...) {
    report.Fail("an exception crossed the interface");
  }
  return report.failures() == 0 ? 0 : 1;
}

void Print(const Check& check, const Finding& finding) {
  const char* word = !finding.failures.empty()  ? "FAILED"
                     : !finding.skipped.empty() ? "SKIPPED"
                                                : "passed";
  std::printf("%-8s %-9s %s\n", word, check.name, check.what);
  for (const std::string& note : finding.notes) std::printf("           %s\n", note.c_str());
  if (!finding.skipped.empty()) std::printf("           %s\n", finding.skipped.c_str());
  for (const std::string& failure : finding.failures)
    std::printf("         - %s\n", failure.c_str());
}

// `only` empty: all of them.
int RunChecks(const std::string& only, std::vector<std::string> files) {
  // A name without a folder would be looked for where the system's libraries are.
  for (std::string& file : files) file = std::filesystem::absolute(file).string();
  size_t passed = 0, failed = 0, skipped = 0;
  bool is_fragile = false;
  for (const std::string& file : files) std::printf("%s\n", file.c_str());
  for (const Check& check : Checks()) {
    const bool is_first = &check == &Checks().front();
    if (!is_first && !only.empty() && only != check.name) continue;
    Finding finding = RunCheck(check, files);
    for (const std::string& note : finding.notes) is_fragile = is_fragile || note == "fragile";
    if (!finding.same.empty() && RunCheck(check, files).same != finding.same) {
      finding.failures.emplace_back(
          "another process made other bytes, and the plug-in says that it is reproducible");
    }
    // It said so: the host loads its blobs in another process first.
    if (finding.crashed && is_fragile && std::strcmp(check.name, "damage") == 0) {
      finding.notes.push_back(finding.failures.back() + ", as a fragile plug-in may");
      finding.failures.pop_back();
    }
    Print(check, finding);
    if (is_first && !finding.failures.empty()) {
      std::printf("no host loads it, so nothing else was checked\n");
      return 8;
    }
    (!finding.failures.empty() ? failed : !finding.skipped.empty() ? skipped : passed) += 1;
  }
  std::printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 8;
}

constexpr char kUsage[] = "usage: bctx-conformance [--only CHECK] PLUGIN.so [DRIVER.so]\n";

int Main(std::vector<std::string> words) {
  // What a check's own process is started with.
  std::string only, alone;
  if (words.size() > 2 && (words[0] == "--check" || words[0] == "--only")) {
    (words[0] == "--only" ? only : alone) = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() == 1 && words[0] == "--help") {
    std::printf(
        "%s\nWhether a backend keeps the rules of plugin_abi.h; a compiler and a driver in two "
        "files "
        "are named together.\n\n",
        kUsage);
    for (const Check& one : Checks()) std::printf("  %-9s %s\n", one.name, one.what);
    return 0;
  }
  const auto is_known = [](const std::string& name) {
    return name.empty() || std::any_of(Checks().begin(), Checks().end(),
                                       [&](const Check& one) { return name == one.name; });
  };
  if (words.empty() || words.size() > 2 || words[0].starts_with("--") || !is_known(only)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return alone.empty() ? RunChecks(only, words) : OneCheck(alone, words);
}

}  // namespace
}  // namespace backendctx::conformance

int main(int argc, char** argv) { return backendctx::conformance::Main({argv + 1, argv + argc}); }
