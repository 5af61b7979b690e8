// Which compiled context runs: requirements against a host profile, under a policy.
//
// Decide is a pure function; the same code answers while packing, offline for another machine, and
// at load. Every context gets a Decision, chosen or not, with a reason.
//
// Threads: plain values; functions have no shared state.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/status.h"

namespace backendctx {

// Facts of a machine: "arch", "os" (text), "cpu.features" (set, names as in the kernel's cpuinfo,
// sorted), "cpu.count" (integer). A fact that is not there satisfies nothing.
struct HostProfile {
  using Fact = std::variant<std::string, int64_t, std::vector<std::string>>;
  std::map<std::string, Fact> facts;

  BCTX_API static HostProfile Detect();
  // {"schema_version": 1, "facts": {"arch": "x86_64", "cpu.features": ["avx2", ...], ...}}
  BCTX_API static Result<HostProfile> FromJson(const std::string& text);
  BCTX_API std::string ToJson() const;
};

// As ONNX Runtime's enum, in its order of numbers.
enum class Verdict { kNotApplicable = 0, kOptimal = 1, kRecompilePreferred = 2, kUnsupported = 3 };
BCTX_API const char* VerdictName(Verdict verdict);  // "optimal", "unsupported" ...

enum class Outcome { kChosen, kRejected, kStale, kAbsent };
BCTX_API const char* OutcomeName(Outcome outcome);

struct Policy {
  std::vector<std::string> backends;  // in order of preference; empty: as the package lists them
  bool require_proof = false;
};

// What is known of one context besides the manifest.
struct Candidate {
  const manifest::Context* context = nullptr;
  const manifest::Partition* partition = nullptr;
  bool present = true;    // its blob is stored
  std::string stale;      // why its partition in the front is not what was compiled; empty: it is
  std::string untrusted;  // why its code may not run; empty: it may
  std::string refused;    // why the driver would not load it (verdict unsupported); empty: untried
  bool driver_found = true;  // a plug-in for its backend is at hand
};

struct Decision {
  std::string partition, context;
  Verdict verdict = Verdict::kNotApplicable;
  Outcome outcome = Outcome::kRejected;
  std::string reason;  // one of a few words: "ok", "incompatible", "untrusted", "unproved",
                       // "outranked", "overlaps", "stale", "absent", "no-driver"
  std::string detail;  // a sentence with what was found and expected
};

// The verdict of one requirement list, with the first requirement that fails in `detail`.
BCTX_API Verdict Judge(const std::vector<manifest::Requirement>& requirements,
                       const HostProfile& profile, std::string* detail);

// One decision per candidate, in their order. Among those of one partition that could run, the
// first by policy's backend order, then the one with more requirements (the more special build),
// then by id is chosen; of partitions that share nodes, the one met first wins.
BCTX_API std::vector<Decision> Decide(const std::vector<Candidate>& candidates,
                                      const HostProfile& profile, const Policy& policy);

}  // namespace backendctx
