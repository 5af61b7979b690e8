// Which context of each partition runs, and which of the partitions that share nodes.
//
// Two steps. First every candidate is judged by itself: stored, still what the front has, fit for
// the host, with a driver, trusted, proved. Those that pass are ranked within their partition. Then
// partitions are taken in the order of their backends' preference, those of one backend in the
// order in which their candidates came, and one that shares a node with a partition taken before is
// turned down. So the whole is deterministic and explains itself.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string_view>
#include <unordered_map>

#include "backendctx/selection.h"
#include "base/text.h"
#include "select/judge.h"

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

// What is to be known of a context that runs.
std::string Remarks(const Context& context, std::string lack) {
  if (context.proof.passed) return lack;
  const std::string unproved = "unproved: " + base::Printable(context.proof.reason);
  return lack.empty() ? unproved : lack + "; " + unproved;
}

// Judges each list of requirements once: the layers of a model have code with equal ones.
class HostJudge {
 public:
  explicit HostJudge(const HostProfile& profile) : profile_(profile) {}

  select::Judgement Judge(const Candidate& candidate) {
    const Context& context = *candidate.context;
    if (candidate.vendor_verdict) {
      return select::JudgeHost(context.requirements, profile_, &candidate);
    }
    // The last list of the target is the one to compare with: a map of lists would cost more.
    Known& known = known_[context.target];
    if (known.requirements == nullptr || *known.requirements != context.requirements) {
      known = {&context.requirements, select::JudgeHost(context.requirements, profile_, nullptr)};
    }
    return known.judgement;
  }

 private:
  struct Known {
    const std::vector<Requirement>* requirements = nullptr;
    select::Judgement judgement;
  };
  const HostProfile& profile_;
  std::unordered_map<std::string_view, Known> known_;  // by target
};

// The decision of one candidate as if it were alone; kChosen means that it could run.
Decision JudgeAlone(const Candidate& candidate, select::Judgement judgement, const Policy& policy) {
  const Context& context = *candidate.context;
  Decision decision;
  decision.partition = context.partition;
  decision.context = context.id;
  select::AddShapes(context.requirements, candidate.partition, &judgement);
  decision.verdict = judgement.verdict;
  std::string& lack = judgement.detail;
  if (!candidate.present && !policy.assume_stored) {
    Refuse(&decision, Outcome::kAbsent, "absent", "its blob is not stored in this package");
  } else if (!candidate.stale.empty()) {
    Refuse(&decision, Outcome::kStale, "stale", candidate.stale);
  } else if (decision.verdict == Verdict::kUnsupported) {
    Refuse(&decision, Outcome::kRejected, "incompatible", std::move(lack));
  } else if (decision.verdict == Verdict::kNotApplicable) {
    Refuse(&decision, Outcome::kRejected, "not-applicable", std::move(lack));
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
    Refuse(&decision, Outcome::kChosen, "ok", Remarks(context, std::move(lack)));
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
    const std::string& backend = candidate.context->backend;
    if (!ranks.contains(backend)) ranks.emplace(backend, ranks.size());
  }
  return ranks;
}

// Nodes that chosen partitions have taken, in all graphs of all variants. Partitions must outlive
// it.
//
// A thousand partitions have ten thousand nodes, so that each costs one look into a flat table and
// no allocation. Graphs are numbered; a node is (graph, key).
class TakenNodes {
 public:
  explicit TakenNodes(size_t nodes) : slots_(std::bit_ceil(2 * nodes + 16)) {}

  // Null, or the partition that has a node of this one, holds this one's graph in a node, or lies
  // in the graphs of one of its nodes. Takes the nodes when there is none.
  const Partition* Take(const Partition& partition) {
    const std::string& path = paths_.emplace_back(partition.variant + '\n' + partition.graph_path);
    const uint32_t graph = NumberOf(path);
    const std::vector<Node> holders = HoldersOf(path);
    for (const Node& holder : holders) {
      if (const Partition* other = Find(holder)) return other;
    }
    if (const Partition* other = TakeNodes(graph, partition)) return other;
    for (const Node& holder : holders) holders_.emplace(holder, &partition);
    return nullptr;
  }

 private:
  struct Node {
    uint32_t graph = 0;
    std::string_view key;
    bool operator==(const Node&) const = default;
  };
  struct Slot {
    const Partition* partition = nullptr;
    Node node;
  };
  struct NodeHash {
    size_t operator()(const Node& node) const {
      return std::hash<std::string_view>()(node.key) + node.graph;
    }
  };

  uint32_t NumberOf(std::string_view path) {
    return graphs_.emplace(path, static_cast<uint32_t>(graphs_.size())).first->second;
  }

  // The nodes that hold a graph: "/KEY.attribute" steps behind the variant. Keys may have slashes
  // and dots, so that every way to cut the path counts; nodes that are not there do no harm.
  std::vector<Node> HoldersOf(std::string_view path) {
    std::vector<Node> holders;
    for (size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1)) {
      const std::string_view holder = path.substr(0, dot);
      for (size_t slash = holder.find('/'); slash != holder.npos;
           slash = holder.find('/', slash + 1)) {
        holders.push_back({NumberOf(holder.substr(0, slash)), holder.substr(slash + 1)});
      }
    }
    return holders;
  }

  size_t PlaceOf(const Node& node) const {
    const size_t mask = slots_.size() - 1;
    size_t place = NodeHash()(node) & mask;
    while (slots_[place].partition != nullptr && slots_[place].node != node) {
      place = (place + 1) & mask;
    }
    return place;
  }

  const Partition* Find(const Node& node) const { return slots_[PlaceOf(node)].partition; }

  const Partition* TakeNodes(uint32_t graph, const Partition& partition) {
    std::vector<size_t> places;
    places.reserve(partition.nodes.size());
    const Partition* other = nullptr;
    for (const std::string& key : partition.nodes) {
      const Node node{graph, key};
      const size_t place = PlaceOf(node);
      other = slots_[place].partition != nullptr ? slots_[place].partition : HeldBy(node);
      if (other != nullptr) break;
      slots_[place] = {&partition, node};
      places.push_back(place);
    }
    if (other == nullptr) return nullptr;
    // The last one in goes first: nothing behind it was probed past it.
    while (!places.empty()) {
      slots_[places.back()] = {};
      places.pop_back();
    }
    return other;
  }

  const Partition* HeldBy(const Node& node) const {
    if (holders_.empty()) return nullptr;
    const auto holder = holders_.find(node);
    return holder == holders_.end() ? nullptr : holder->second;
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::deque<std::string> paths_;
  std::unordered_map<std::string_view, uint32_t> graphs_;  // by path, a part of one of `paths_`
  std::unordered_map<Node, const Partition*, NodeHash> holders_;  // of branches and loops
};

// For each partition, in the order in which they are taken, the candidate that is best, if any
// could run.
struct Best {
  const Partition* partition = nullptr;
  size_t candidate = 0;
  bool found = false;
  const Partition* overlaps = nullptr;  // one taken before that has nodes of this one
};

class Ranking {
 public:
  Ranking(const std::vector<Candidate>& candidates, const std::vector<Decision>& alone,
          const Policy& policy)
      : candidates_(candidates), alone_(alone), ranks_(BackendRanks(candidates, policy)) {
    of_candidate_.reserve(candidates.size());
    std::unordered_map<const Partition*, size_t> place;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const auto [it, is_new] = place.emplace(candidates[i].partition, order_.size());
      if (is_new) order_.push_back({candidates[i].partition});
      of_candidate_.push_back(it->second);
      if (alone[i].outcome != Outcome::kChosen) continue;
      Best& best = order_[it->second];
      if (!best.found || GoesBefore(i, best.candidate)) best = {candidates[i].partition, i, true};
    }
    size_t nodes = 0;
    for (const Best& best : order_) nodes += best.found ? best.partition->nodes.size() : 0;
    TakenNodes taken(nodes);
    for (const size_t at : TakingOrder()) {
      order_[at].overlaps = taken.Take(*order_[at].partition);
    }
  }

  const Best& Of(size_t candidate) const { return order_[of_candidate_[candidate]]; }

 private:
  // What an earlier backend can run comes first, whatever overlaps it.
  std::vector<size_t> TakingOrder() const {
    std::vector<std::pair<size_t, size_t>> ranked;  // rank, place in `order_`
    ranked.reserve(order_.size());
    for (size_t at = 0; at < order_.size(); ++at) {
      if (!order_[at].found) continue;
      ranked.emplace_back(ranks_.at(candidates_[order_[at].candidate].context->backend), at);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<size_t> order;
    order.reserve(ranked.size());
    for (const auto& [rank, at] : ranked) order.push_back(at);
    return order;
  }

  bool GoesBefore(size_t a, size_t b) const {
    const Context &x = *candidates_[a].context, &y = *candidates_[b].context;
    const size_t rank_a = ranks_.at(x.backend), rank_b = ranks_.at(y.backend);
    if (rank_a != rank_b) return rank_a < rank_b;
    if (alone_[a].verdict != alone_[b].verdict) return alone_[a].verdict == Verdict::kOptimal;
    const size_t special_a = Specialty(x), special_b = Specialty(y);
    return special_a != special_b ? special_a > special_b : x.id < y.id;
  }

  const std::vector<Candidate>& candidates_;
  const std::vector<Decision>& alone_;
  const std::map<std::string, size_t> ranks_;  // of backends
  std::vector<Best> order_;
  std::vector<size_t> of_candidate_;  // its partition's place in `order_`
};

}  // namespace

std::vector<Decision> Decide(const std::vector<Candidate>& candidates, const HostProfile& profile,
                             const Policy& policy) {
  std::vector<Decision> decisions;
  decisions.reserve(candidates.size());
  HostJudge judge(profile);
  for (const Candidate& candidate : candidates) {
    decisions.push_back(JudgeAlone(candidate, judge.Judge(candidate), policy));
  }
  const Ranking ranking(candidates, decisions, policy);
  for (size_t i = 0; i < decisions.size(); ++i) {
    Decision& decision = decisions[i];
    if (decision.outcome != Outcome::kChosen) continue;
    const Best& best = ranking.Of(i);
    if (best.candidate != i) {
      Refuse(&decision, Outcome::kRejected, "outranked",
             fmt::format("context {} of the same partition is preferred",
                         base::Printable(candidates[best.candidate].context->id)));
    } else if (best.overlaps != nullptr) {
      Refuse(&decision, Outcome::kRejected, "overlaps",
             fmt::format("partition {}, which was chosen, has nodes of this one",
                         base::Printable(best.overlaps->id)));
    }
  }
  return decisions;
}

}  // namespace backendctx
