#include "scope/grouping.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "scope/partition.h"

namespace backendctx::scope {
namespace {

using model::GraphView;
using model::Node;

// Node i reads the values of `reads[i]` and makes "vi".
GraphView GraphOf(const std::vector<std::vector<size_t>>& reads) {
  GraphView view;
  for (size_t i = 0; i < reads.size(); ++i) {
    Node node;
    node.op_type = "Op";
    node.outputs = {"v" + std::to_string(i)};
    node.inputs = {"x"};
    for (const size_t from : reads[i]) node.inputs.push_back("v" + std::to_string(from));
    for (const std::string& input : node.inputs) {
      std::vector<size_t>& consumers = view.consumers[input];
      if (consumers.empty() || consumers.back() != i) consumers.push_back(i);
    }
    view.producer[node.outputs[0]] = i;
    view.nodes.push_back(std::move(node));
  }
  view.inputs = {"x"};
  return view;
}

using Sets = std::vector<std::vector<size_t>>;

TEST_CASE("what touches is one set, and nothing leads around", "[scope]") {
  // 0 -> 1 -> 2, 0 -> 2, 1 is not takable: 0 and 2 wait for 1.
  CHECK(Group(GraphOf({{}, {0}, {1, 0}}), {0, 2}) == Sets{{0}, {2}});
  // A diamond is one set.
  CHECK(Group(GraphOf({{}, {0}, {0}, {1, 2}}), {0, 1, 2, 3}) == Sets{{0, 1, 2, 3}});
  // Two that do not touch are two.
  CHECK(Group(GraphOf({{}, {}, {0}, {1}}), {2, 3}) == Sets{{2}, {3}});
  // 0 (takable) and 1 (not) feed 2: levels differ, yet 0 and 2 belong together.
  CHECK(Group(GraphOf({{}, {}, {0, 1}}), {0, 2}) == Sets{{0, 2}});
  CHECK(Group(GraphOf({{}, {0}}), {}).empty());
}

TEST_CASE("a set behind another one is not merged around a third", "[scope]") {
  // 0 -> 1 -> 2 and 0 -> 3 -> 4 -> 2, where 3 is not takable.
  const GraphView graph = GraphOf({{}, {0}, {1, 4}, {0}, {3}});
  const Sets sets = Group(graph, {0, 1, 2, 4});
  CHECK(sets == Sets{{0, 1}, {2, 4}});
}

TEST_CASE("groups of random graphs are legal covers that no merge of neighbours improves",
          "[scope]") {
  std::mt19937 random(20261124);
  for (int round = 0; round < 300; ++round) {
    const size_t count = 2 + random() % 24;
    std::vector<std::vector<size_t>> reads(count);
    std::vector<size_t> takable;
    for (size_t i = 1; i < count; ++i) {
      for (size_t k = random() % 3; k > 0; --k) reads[i].push_back(random() % i);
    }
    for (size_t i = 0; i < count; ++i) {
      if (random() % 4 != 0) takable.push_back(i);
    }
    const GraphView graph = GraphOf(reads);
    const Sets sets = Group(graph, takable);
    std::vector<size_t> all;
    std::vector<Partition> cover;
    for (const auto& set : sets) {
      all.insert(all.end(), set.begin(), set.end());
      const Result<Partition> partition = Span(graph, set);
      INFO((partition ? std::string() : partition.error().message()));
      REQUIRE(partition);
      cover.push_back(*partition);
    }
    std::sort(all.begin(), all.end());
    CHECK(all == takable);
    CHECK(CheckCover(graph, cover).ok());
    for (size_t a = 0; a < sets.size(); ++a) {
      for (size_t b = 0; b < sets.size(); ++b) {
        const bool touch = std::any_of(sets[b].begin(), sets[b].end(), [&](size_t node) {
          return std::any_of(reads[node].begin(), reads[node].end(), [&](size_t from) {
            return std::binary_search(sets[a].begin(), sets[a].end(), from);
          });
        });
        if (a == b || !touch) continue;
        std::vector<size_t> both = sets[a];
        both.insert(both.end(), sets[b].begin(), sets[b].end());
        std::vector<Partition> merged;
        for (size_t c = 0; c < sets.size(); ++c) {
          if (c != a && c != b) merged.push_back(cover[c]);
        }
        const Result<Partition> one = Span(graph, both);
        if (one) merged.push_back(*one);
        CHECK_FALSE((one && CheckCover(graph, merged).ok()));
      }
    }
  }
}

}  // namespace
}  // namespace backendctx::scope
