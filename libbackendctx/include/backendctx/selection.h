// Which compiled context runs: requirements against a host profile, under a policy.
//
// Judge and Decide are pure functions; the same code answers while packing, offline for another
// machine and before any code is downloaded, and at load. Every context gets a Decision, chosen or
// not, with a reason. docs/format.md, "Predicates", is the standard of what is judged.
//
//   HostProfile host = *HostProfile::FromJson(text);
//   for (const Decision& decision : package.Decide(host, {}, std::nullopt)) ...
//
// Threads: plain values; functions have no shared state.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/status.h"

namespace backendctx {

// Facts of a machine: "arch", "os", "os.version" (text), "cpu.features" (set, names as in the
// kernel's cpuinfo, sorted), "cpu.count", "memory" (integers, bytes), "library.NAME" (a version),
// "vendor.BACKEND" (what the vendor's own compatibility string of this machine is). A fact that is
// not there satisfies nothing.
struct HostProfile {
  using Fact = std::variant<std::string, int64_t, std::vector<std::string>>;
  std::map<std::string, Fact> facts;

  // An accelerator, or the processor: "cpu", "gpu", "npu" ... Its facts are "model", "arch",
  // "driver" (a version), "memory" (bytes) and "features" (set); requirements name them
  // "device.KIND.FACT", and one device must meet all those of its kind.
  struct Device {
    std::string kind;
    std::map<std::string, Fact> facts;
    bool operator==(const Device&) const = default;
  };
  std::vector<Device> devices;

  // What the system tells without a vendor's help: processor, memory, libraries of the system.
  BCTX_API static HostProfile Detect();
  // schemas/host.schema.json. Malformed, ResourceExhausted, UnsupportedVersion.
  BCTX_API static Result<HostProfile> FromJson(const std::string& text);
  BCTX_API std::string ToJson() const;
};

// As ONNX Runtime's enum, in its order of numbers. Optimal: every requirement is met. Recompile
// preferred: all but preferred ones; it runs, a new compile would be better. Unsupported: the host
// has something else than what is required. Not applicable: the host has nothing of the kind, so
// that the question does not arise.
enum class Verdict { kNotApplicable = 0, kOptimal = 1, kRecompilePreferred = 2, kUnsupported = 3 };
BCTX_API const char* VerdictName(Verdict verdict);  // "optimal", "unsupported" ...
inline bool CanRun(Verdict verdict) {
  return verdict == Verdict::kOptimal || verdict == Verdict::kRecompilePreferred;
}

enum class Outcome { kChosen, kRejected, kStale, kAbsent };
BCTX_API const char* OutcomeName(Outcome outcome);

struct Policy {
  std::vector<std::string> backends;  // in order of preference; empty: as the package lists them
  bool require_proof = false;
  // Judges contexts whose blobs are not stored as if they were: what a download would give.
  bool assume_stored = false;
  // Options that drivers take when they load, by backend: added to those of a context.
  std::map<std::string, std::map<std::string, std::string>> load_options;
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
  // What that plug-in makes of the vendor's string, which then goes before the comparison with the
  // profile's; nothing: it was not asked.
  std::optional<Verdict> vendor_verdict;
  std::string vendor_reason;  // in the vendor's words
};

struct Decision {
  std::string partition, context;
  Verdict verdict = Verdict::kNotApplicable;
  Outcome outcome = Outcome::kRejected;
  std::string reason;  // one of a few words: "ok", "incompatible", "not-applicable", "untrusted",
                       // "unproved", "outranked", "overlaps", "stale", "absent", "no-driver"
  std::string detail;  // a sentence with what was found and expected
};

// The verdict of one requirement list on the code for `partition`, whose declared types answer for
// the keys "input. ..."; null: nothing is known of them. The worst verdict of a requirement counts,
// unsupported before not applicable; `detail`, if not null, gets the first requirement of it.
BCTX_API Verdict Judge(const std::vector<manifest::Requirement>& requirements,
                       const HostProfile& profile, const manifest::Partition* partition,
                       std::string* detail);
inline Verdict Judge(const std::vector<manifest::Requirement>& requirements,
                     const HostProfile& profile, std::string* detail) {
  return Judge(requirements, profile, nullptr, detail);
}

// The keys "input. ..." alone: whether the code takes every shape that the types of `partition`
// allow. Optimal without such keys.
BCTX_API Verdict JudgeShapes(const std::vector<manifest::Requirement>& requirements,
                             const manifest::Partition& partition, std::string* detail);

// One decision per candidate, in their order. Among those of one partition that could run, the
// first by policy's backend order, then optimal before recompile-preferred, then the one with more
// requirements (the more special build), then by id is chosen; of partitions that share nodes, the
// one met first wins.
BCTX_API std::vector<Decision> Decide(const std::vector<Candidate>& candidates,
                                      const HostProfile& profile, const Policy& policy);

}  // namespace backendctx
