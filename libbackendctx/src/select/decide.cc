// Which context of each partition runs, and which of the partitions that share nodes.
//
// Two steps. First every candidate is judged by itself: stored, still what the front has, fit for
// the host, with a driver, trusted, proved. Those that pass are ranked within their partition. Then
// partitions are taken in the order in which their candidates came, and one that shares a node with
// a partition taken before is turned down. The order is the caller's (an outer function before the
// ones that it calls), so the whole is deterministic and explains itself.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "backendctx/selection.h"
#include "base/text.h"

namespace backendctx {
namespace {

using manifest::Context;
using manifest::Partition;
using manifest::Requirement;

void Refuse(Decision* decision, Outcome outcome, const char* reason, std::string detail) {
  decision->outcome = outcome;
  decision->reason = reason;
  decision->detail = std::move(detail);
}

// The decision of one candidate as if it were alone; kChosen means that it could run.
Decision JudgeAlone(const Candidate& candidate, const HostProfile& profile, const Policy& policy) {
  const Context& context = *candidate.context;
  Decision decision;
  decision.partition = context.partition;
  decision.context = context.id;
  std::string lack;
  decision.verdict = Judge(context.requirements, profile, &lack);
  if (!candidate.present) {
    Refuse(&decision, Outcome::kAbsent, "absent", "its blob is not stored in this package");
  } else if (!candidate.stale.empty()) {
    Refuse(&decision, Outcome::kStale, "stale", candidate.stale);
  } else if (decision.verdict == Verdict::kUnsupported) {
    Refuse(&decision, Outcome::kRejected, "incompatible", lack);
  } else if (!candidate.refused.empty()) {
    decision.verdict = Verdict::kUnsupported;
    Refuse(&decision, Outcome::kRejected, "incompatible", candidate.refused);
  } else if (!candidate.driver_found) {
    Refuse(&decision, Outcome::kRejected, "no-driver",
           fmt::format("no plug-in at hand loads blobs of backend {}",
                       base::Printable(context.backend)));
  } else if (!candidate.untrusted.empty()) {
    Refuse(&decision, Outcome::kRejected, "untrusted", candidate.untrusted);
  } else if (policy.require_proof && !context.proof.passed) {
    Refuse(&decision, Outcome::kRejected, "unproved",
           fmt::format("its proof was not run: {}", base::Printable(context.proof.reason)));
  } else {
    Refuse(&decision, Outcome::kChosen, "ok",
           context.proof.passed ? "" : "unproved: " + base::Printable(context.proof.reason));
  }
  return decision;
}

// How special a build is: what it asks for beyond "any machine".
size_t Specialty(const Context& context) {
  size_t asked = 0;
  for (const Requirement& requirement : context.requirements) {
    const bool set =
        requirement.predicate == static_cast<uint32_t>(manifest::Predicate::kContainsAll);
    asked += set ? requirement.values.size() : 1;
  }
  return asked;
}

// Backends in order of preference: the policy's, then the rest as the package has them.
std::map<std::string, size_t> BackendRanks(const std::vector<Candidate>& candidates,
                                           const Policy& policy) {
  std::map<std::string, size_t> ranks;
  for (const std::string& backend : policy.backends) ranks.emplace(backend, ranks.size());
  for (const Candidate& candidate : candidates) {
    ranks.emplace(candidate.context->backend, ranks.size());
  }
  return ranks;
}

// Nodes that chosen partitions have taken, in all graphs of all variants.
class TakenNodes {
 public:
  // Empty, or the partition that has a node of this one, holds this one's graph in a node, or lies
  // in the graphs of one of its nodes.
  std::string Overlap(const Partition& partition) const {
    const std::string graph = partition.variant + '\n' + partition.graph_path;
    for (size_t dot = graph.find('.'); dot != std::string::npos; dot = graph.find('.', dot + 1)) {
      if (const auto it = nodes_.find(graph.substr(0, dot)); it != nodes_.end()) return it->second;
    }
    for (const std::string& node : partition.nodes) {
      const std::string key = graph + '/' + node;
      if (const auto it = nodes_.find(key); it != nodes_.end()) return it->second;
      if (const auto it = holders_.find(key); it != holders_.end()) return it->second;
    }
    return {};
  }

  void Take(const Partition& partition) {
    const std::string graph = partition.variant + '\n' + partition.graph_path;
    for (const std::string& node : partition.nodes)
      nodes_.emplace(graph + '/' + node, partition.id);
    for (size_t dot = graph.find('.'); dot != std::string::npos; dot = graph.find('.', dot + 1)) {
      holders_.emplace(graph.substr(0, dot), partition.id);
    }
  }

 private:
  // "VARIANT\nGRAPH PATH/NODE" -> partition. Graph paths are "/KEY.attribute" steps, so the text
  // before each dot of a path names a node that holds the graph (and perhaps, where keys have dots,
  // nodes that are not there, which do no harm).
  std::map<std::string, std::string> nodes_, holders_;
};

// For each partition, in order of first candidate, the candidate that is best, if any could run.
struct Best {
  const Partition* partition = nullptr;
  size_t candidate = 0;
  bool found = false;
};

std::vector<Best> RankWithinPartitions(const std::vector<Candidate>& candidates,
                                       const std::vector<Decision>& alone, const Policy& policy) {
  const std::map<std::string, size_t> ranks = BackendRanks(candidates, policy);
  const auto key = [&](size_t i) {
    const Context& context = *candidates[i].context;
    return std::make_tuple(ranks.at(context.backend), ~Specialty(context), context.id);
  };
  std::vector<Best> order;
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto [it, is_new] = place.emplace(alone[i].partition, order.size());
    if (is_new) order.push_back({candidates[i].partition});
    if (alone[i].outcome != Outcome::kChosen) continue;
    Best& best = order[it->second];
    if (!best.found || key(i) < key(best.candidate)) best = {candidates[i].partition, i, true};
  }
  return order;
}

}  // namespace

std::vector<Decision> Decide(const std::vector<Candidate>& candidates, const HostProfile& profile,
                             const Policy& policy) {
  std::vector<Decision> decisions;
  decisions.reserve(candidates.size());
  for (const Candidate& candidate : candidates) {
    decisions.push_back(JudgeAlone(candidate, profile, policy));
  }
  TakenNodes taken;
  std::map<std::string, std::pair<size_t, std::string>> verdicts;  // partition -> best, overlap
  for (const Best& best : RankWithinPartitions(candidates, decisions, policy)) {
    if (!best.found) continue;
    std::string overlap = taken.Overlap(*best.partition);
    if (overlap.empty()) taken.Take(*best.partition);
    verdicts[best.partition->id] = {best.candidate, std::move(overlap)};
  }
  for (size_t i = 0; i < decisions.size(); ++i) {
    Decision& decision = decisions[i];
    if (decision.outcome != Outcome::kChosen) continue;
    const auto& [winner, overlap] = verdicts.at(candidates[i].partition->id);
    if (winner != i) {
      Refuse(&decision, Outcome::kRejected, "outranked",
             fmt::format("context {} of the same partition is preferred",
                         base::Printable(candidates[winner].context->id)));
    } else if (!overlap.empty()) {
      Refuse(&decision, Outcome::kRejected, "overlaps",
             fmt::format("partition {}, which was chosen, has nodes of this one",
                         base::Printable(overlap)));
    }
  }
  return decisions;
}

}  // namespace backendctx
