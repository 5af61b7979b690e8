// Attention written out: MatMul, what happens to the scores, Softmax, MatMul.
#include <fmt/format.h>

#include <algorithm>

#include "patterns/candidate.h"

namespace backendctx::patterns {
namespace {

using model::GraphView;
using model::Node;

// Before opset 13 a Softmax flattens all axes from `axis` on; that is the last axis alone only when
// it starts there.
std::string AxisProblem(const Facts& facts, const Node& node, size_t rank) {
  const int64_t axis = node.Int("axis", facts.opset() < 13 ? 1 : -1);
  const auto last = static_cast<int64_t>(rank) - 1;
  if (axis == -1 || axis == last) return "";
  return fmt::format("the Softmax is over axis {} of rank {}, not over the last one", axis, rank);
}

std::vector<Role> Roles(size_t rank, Role third, Role fourth) {
  if (rank == 3) return {kBatch, third, fourth};
  return {kBatch, kHead, third, fourth};
}

}  // namespace

std::optional<Candidate> MatchSoftmax(const GraphView& graph, Facts* facts, size_t index,
                                      size_t first_side, Stop* stop) {
  const Node& softmax = graph.nodes[index];
  if (softmax.inputs.size() != 1 || softmax.outputs.size() != 1) return std::nullopt;
  const auto scores = ReadScores(graph, *facts, softmax.inputs[0], first_side, stop);
  if (!scores) return std::nullopt;
  const auto rest = ReadProbabilities(graph, *facts, softmax.outputs[0], stop);
  if (!rest) return std::nullopt;
  const Node &first = graph.nodes[scores->product], &second = graph.nodes[rest->product];
  if (first.inputs.size() != 2) return std::nullopt;
  const size_t rank = facts->Of(first.inputs[0]).rank();
  for (const std::string& operand : {first.inputs[0], first.inputs[1], second.inputs[1]}) {
    const Fact& fact = facts->Of(operand);
    if (fact.ranked && fact.rank() == rank && (rank == 3 || rank == 4)) continue;
    *stop = {NameOf(first),
             fmt::format("the rank of {} is {}, expected 4, or 3 for every operand", operand,
                         fact.ranked ? fmt::to_string(fact.rank()) : std::string("not known"))};
    return std::nullopt;
  }
  if (const std::string problem = AxisProblem(*facts, softmax, rank); !problem.empty()) {
    *stop = {NameOf(softmax), problem};
    return std::nullopt;
  }
  Candidate candidate;
  candidate.form = "decomposed";
  candidate.core = scores->nodes;
  candidate.core.insert(candidate.core.end(), rest->nodes.begin(), rest->nodes.end());
  for (const size_t node : {scores->product, index, rest->product}) candidate.core.push_back(node);
  const WalkOptions q{Roles(rank, kSequence, kChannel), true, false};
  const WalkOptions k{Roles(rank, kChannel, kSequence), true, rank == 4};
  const WalkOptions v{Roles(rank, kSequence, kChannel), false, rank == 4};
  candidate.q = WalkBack(graph, facts, first.inputs[0], q);
  candidate.k = WalkBack(graph, facts, first.inputs[1], k);
  candidate.v = WalkBack(graph, facts, second.inputs[1], v);
  candidate.masks = scores->masks;
  candidate.scale = scores->scale;
  candidate.softcap = scores->softcap;
  candidate.zero_masked_rows = rest->zero_masked_rows;
  candidate.y = second.Key();
  return candidate;
}

}  // namespace backendctx::patterns
