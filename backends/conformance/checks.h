// The checks, each run in a process of its own.
#pragma once

#include <string>
#include <vector>

#include "conformance/calls.h"

namespace backendctx::conformance {

struct Check {
  const char* name;
  const char* what;  // the rule in a few words
  void (*run)(const Backend& backend, Report* report);
};
const std::vector<Check>& Checks();

void CheckTable(const Backend&, Report*);
void CheckFacts(const Backend&, Report*);
void CheckJudge(const Backend&, Report*);
void CheckOffer(const Backend&, Report*);
void CheckCompile(const Backend&, Report*);
void CheckRequests(const Backend&, Report*);
void CheckSizes(const Backend&, Report*);
void CheckLabel(const Backend&, Report*);
void CheckThreads(const Backend&, Report*);
void CheckNumbers(const Backend&, Report*);
void CheckRuns(const Backend&, Report*);
void CheckDamage(const Backend&, Report*);

// A model that the backend takes, for one target and one choice of options, with its blob.
struct Taken {
  std::unique_ptr<Host> host;
  std::string target;
  Options options;
  Blob blob;
  std::string Name() const;
};
// Everything that compiles: each model, target and kind of weights (where the backend has an option
// `weights`), up to `most` of them. What does not compile is a failure.
std::vector<Taken> CompileAll(const Backend& backend, Report* report, size_t most = SIZE_MAX);
// Of those, the ones whose blob is for this machine.
std::vector<Taken> CompileForHere(const Backend& backend, Report* report, size_t most = SIZE_MAX);
// How many are enough where each is a case like the others: few for a backend that says that it is
// fragile, whose compiler may try each blob in another process.
size_t Enough(const Backend& backend);

}  // namespace backendctx::conformance
