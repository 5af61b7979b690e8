#include "scope/partition.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace backendctx::scope {
namespace {

using model::GraphView;
using model::Node;
using model::TensorInfo;

// Graphs of unary and n-ary nodes, written as outputs and inputs.
class TestGraph {
 public:
  TestGraph& Input(const std::string& name) {
    view_.inputs.push_back(name);
    return *this;
  }
  TestGraph& Output(const std::string& name) {
    view_.outputs.push_back(name);
    view_.is_output[name] = true;
    return *this;
  }
  TestGraph& Weight(const std::string& name, uint64_t size) {
    TensorInfo info;
    info.size = size;
    view_.initializers[name] = info;
    view_.initializer_order.push_back(name);
    return *this;
  }
  TestGraph& Add(const std::string& output, const std::vector<std::string>& inputs,
                 const std::string& op = "Op") {
    Node node;
    node.op_type = op;
    node.inputs = inputs;
    node.outputs = {output};
    return Add(std::move(node));
  }
  TestGraph& Add(Node node) {
    const size_t index = view_.nodes.size();
    std::vector<std::string> reads = node.inputs;
    for (const auto& attribute : node.attributes) {
      if (!attribute.graph) continue;
      for (const auto& [value, consumers] : attribute.graph->consumers) {
        if (!attribute.graph->producer.count(value)) reads.push_back(value);
      }
    }
    for (const std::string& value : reads) {
      std::vector<size_t>& consumers = view_.consumers[value];
      if (consumers.empty() || consumers.back() != index) consumers.push_back(index);
    }
    for (const std::string& output : node.outputs) view_.producer[output] = index;
    view_.nodes.push_back(std::move(node));
    return *this;
  }
  const GraphView& view() const { return view_; }

 private:
  GraphView view_;
};

TestGraph Diamond() {
  TestGraph graph;
  graph.Input("x").Output("d").Weight("w", 128).Weight("k", 127);
  graph.Add("a", {"x", "w"}).Add("b", {"a", "k"}).Add("c", {"a"}).Add("d", {"b", "c", "w"});
  return graph;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a span has its boundary in order of first use", "[scope]") {
  const TestGraph graph = Diamond();
  const Result<Partition> span = Span(graph.view(), {3, 1, 2});
  REQUIRE(span.has_value());
  CHECK(span->nodes == std::vector<size_t>{1, 2, 3});
  CHECK(span->activations == Names{"a"});
  CHECK(span->constants == Names{"k"});
  CHECK(span->weights == Names{"w"});
  CHECK(span->outputs == Names{"d"});
}

TEST_CASE("a value that is a graph output or read outside is an output", "[scope]") {
  TestGraph graph = Diamond();
  CHECK(Span(graph.view(), {0, 1})->outputs == Names{"a", "b"});
  graph.Output("b");
  CHECK(Span(graph.view(), {1, 2, 3})->outputs == Names{"b", "d"});
}

TEST_CASE("a set that is left and entered again is not convex", "[scope]") {
  const TestGraph graph = Diamond();
  const Result<Partition> span = Span(graph.view(), {0, 1, 3});
  REQUIRE(!span.has_value());
  CHECK(span.status().code() == StatusCode::kInvalidArgument);
  CHECK(span.status().message() ==
        "not convex, a path leaves it and comes back: \"a\" -> \"c\" -> \"d\"");
}

TEST_CASE("bad sets are refused", "[scope]") {
  TestGraph graph = Diamond();
  graph.Add("e", {}, "Constant");
  CHECK(Span(graph.view(), {}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Span(graph.view(), {9}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Span(graph.view(), {1, 1}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Span(graph.view(), {1}).has_value());
}

TEST_CASE("a Constant node is never inside", "[scope]") {
  TestGraph graph;
  Node constant;
  constant.op_type = "Constant";
  constant.outputs = {"k"};
  constant.attributes.resize(1);
  constant.attributes[0].name = "value_float";
  constant.attributes[0].kind = model::Attribute::Kind::kFloat;
  constant.attributes[0].floats = {1};
  graph.Input("x").Output("y").Add(constant).Add("y", {"x", "k"});
  CHECK(Span(graph.view(), {0, 1}).status().code() == StatusCode::kInvalidArgument);
  CHECK(Span(graph.view(), {1})->constants == Names{"k"});
}

TEST_CASE("what a subgraph captures is an input", "[scope]") {
  TestGraph inner;
  inner.Add("i", {"a", "w"}).Add("j", {"i"}).Output("j");
  TestGraph graph;
  graph.Input("x").Weight("w", 500).Add("a", {"x"});
  Node node;
  node.op_type = "If";
  node.outputs = {"y"};
  node.attributes.resize(1);
  node.attributes[0].kind = model::Attribute::Kind::kGraph;
  node.attributes[0].graph = std::make_shared<GraphView>(inner.view());
  graph.Add(node).Output("y");
  const Result<Partition> span = Span(graph.view(), {1});
  REQUIRE(span.has_value());
  CHECK(span->activations == Names{"a"});
  CHECK(span->weights == Names{"w"});
}

TEST_CASE("a cover is disjoint", "[scope]") {
  const TestGraph graph = Diamond();
  const Partition first = *Span(graph.view(), {0, 1}), second = *Span(graph.view(), {2, 3});
  CHECK(CheckCover(graph.view(), {first, second}).ok());
  CHECK(CheckCover(graph.view(), {}).ok());
  const Status status = CheckCover(graph.view(), {first, *Span(graph.view(), {1, 2, 3})});
  CHECK(status.code() == StatusCode::kInvalidArgument);
  CHECK(status.message() == "node \"b\": in {\"a\", ...} and in {\"b\", ...}");
  CHECK(CheckCover(graph.view(), {first, *Span(graph.view(), {1, 2, 3})}, {"A", "B"}).message() ==
        "node \"b\": in A and in B");
}

TEST_CASE("convex partitions that wait for each other are no cover", "[scope]") {
  TestGraph graph;
  graph.Input("x").Add("a", {"x"}).Add("b", {"x"}).Add("c", {"a"}).Add("d", {"b"});
  // {a, d} and {b, c}: a -> c and b -> d.
  const Status status =
      CheckCover(graph.view(), {*Span(graph.view(), {0, 3}), *Span(graph.view(), {1, 2})});
  CHECK(status.code() == StatusCode::kInvalidArgument);
  CHECK(status.message() ==
        "not acyclic when contracted: {\"a\", ...} -> {\"b\", ...} -> {\"a\", ...}");
}

TEST_CASE("a cover names the path that comes back", "[scope]") {
  TestGraph graph;
  graph.Input("x").Add("a", {"x"}).Add("n", {"a"}).Add("b", {"n"}).Add("c", {"b"}).Add("d", {"c"});
  graph.Add("e", {"d"});
  Partition first, second, third;
  first.nodes = {0, 4};
  second.nodes = {2};
  third.nodes = {5};
  const std::vector<std::string> names = {"A", "B", "C"};
  CHECK(CheckCover(graph.view(), {first, second, third}, names).message() ==
        "not acyclic when contracted: A -> \"n\" -> B -> \"c\" -> A");
  CHECK(CheckCover(graph.view(), {second, first}, {"B", "A"}).message() ==
        "not acyclic when contracted: B -> \"c\" -> A -> \"n\" -> B");
  CHECK(CheckCover(graph.view(), {first}, {"A"}).message() ==
        "not convex: A -> \"n\" -> \"b\" -> \"c\" -> A");
  CHECK(CheckCover(graph.view(), {second, third}, names).ok());
}

TEST_CASE("a hundred thousand nodes are no trouble", "[scope]") {
  TestGraph graph;
  graph.Input("v0");
  constexpr size_t kNodes = 100'000;
  for (size_t i = 0; i < kNodes; ++i) {
    graph.Add("v" + std::to_string(i + 1), {"v" + std::to_string(i), "v" + std::to_string(i / 2)});
  }
  std::vector<size_t> half;
  for (size_t i = 0; i < kNodes / 2; ++i) half.push_back(i);
  const Result<Partition> span = Span(graph.view(), half);
  REQUIRE(span.has_value());
  CHECK(CheckCover(graph.view(), {*span}).ok());
}

}  // namespace backendctx::scope
