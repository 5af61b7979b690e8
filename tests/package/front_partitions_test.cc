// Which partitions become functions where some overlap, and which scopes are covers.
#include <catch2/catch.hpp>

#include "package/covers.h"
#include "package/state.h"

namespace backendctx::package {
namespace {

using Ids = std::vector<std::string>;

// a -> b -> c, and y that holds u in its then branch, and z; s -> t and v -> w stand beside them.
class TestModel {
 public:
  TestModel() {
    auto then = std::make_shared<model::GraphView>();
    then->path = "/y.then_branch";
    then->parent = &view_.graph;
    Add(then.get(), "u", {"c"});
    then->outputs = {"u"};
    then->is_output["u"] = true;
    for (const auto& [output, input] :
         {std::pair{"a", "x"}, {"b", "a"}, {"c", "b"}, {"y", "c"}, {"z", "y"}}) {
      Add(&view_.graph, output, {input});
    }
    for (const auto& [output, input] :
         {std::pair{"s", "x"}, {"v", "x"}, {"t", "s"}, {"w", "v"}, {"r", "w"}}) {
      Add(&view_.graph, output, {input});
    }
    model::Attribute branch;
    branch.name = "then_branch";
    branch.kind = model::Attribute::Kind::kGraph;
    branch.graph = then;
    view_.graph.nodes[view_.graph.producer.at("y")].attributes = {branch};
    view_.graph.is_output["z"] = true;
  }
  const model::ModelView& view() const { return view_; }

 private:
  static void Add(model::GraphView* graph, const std::string& output, const Ids& inputs) {
    model::Node node;
    node.op_type = "Op";
    node.inputs = inputs;
    node.outputs = {output};
    for (const std::string& input : inputs) graph->consumers[input].push_back(graph->nodes.size());
    graph->producer[output] = graph->nodes.size();
    graph->nodes.push_back(std::move(node));
  }

  model::ModelView view_;
};

// Partitions and one scope for each word of `scopes`: "A: ab far".
class TestManifest {
 public:
  TestManifest& Add(const std::string& id, const std::string& path, const Ids& nodes,
                    const Ids& outputs) {
    manifest::Partition partition;
    partition.id = id;
    partition.variant = "default";
    partition.graph_path = path;
    partition.nodes = nodes;
    for (const std::string& output : outputs) {
      partition.outputs.emplace_back();
      partition.outputs.back().name = output;
    }
    manifest_.partitions.push_back(std::move(partition));
    return *this;
  }
  TestManifest& Scope(const std::string& name, const Ids& partitions) {
    manifest::Scope scope;
    scope.name = name;
    scope.variant = "default";
    for (const std::string& partition : partitions) {
      manifest::Context context;
      context.id = name + "/" + partition;
      context.partition = partition;
      scope.contexts.push_back(context.id);
      manifest_.contexts.push_back(context);
    }
    manifest_.scopes.push_back(std::move(scope));
    return *this;
  }
  manifest::Manifest& get() { return manifest_; }

 private:
  manifest::Manifest manifest_;
};

TestManifest Overlapping() {
  TestManifest made;
  made.Add("ab", "", {"a", "b"}, {"b"}).Add("bc", "", {"b", "c"}, {"c"});
  made.Add("if", "", {"y"}, {"y"}).Add("then", "/y.then_branch", {"u"}, {"u"});
  made.Add("b", "", {"b"}, {"b"}).Add("far", "", {"z"}, {"z"});
  made.Scope("one", {"bc", "far"}).Scope("two", {"then", "b"}).Scope("three", {"ab", "if"});
  return made;
}

Ids Chosen(const manifest::Manifest& manifest, model::Encoding encoding, const Ids& prefer) {
  const TestModel model;
  const auto partitions = FrontPartitions(
      manifest, "default", encoding, prefer, model.view(), [](const Digest& digest) {
        return digest == Digest{} ? Result<std::string>(Status(StatusCode::kMalformed, "no body"))
                                  : Result<std::string>("body");
      });
  INFO((partitions ? "" : partitions.status().message()));
  REQUIRE(partitions.has_value());
  Ids ids;
  for (const model::EncodedPartition& partition : *partitions) ids.push_back(partition.id);
  return ids;
}

std::map<std::string, std::string> LeftOut(const manifest::Manifest& manifest, const Ids& prefer) {
  const Result<FrontChoice> choice =
      ChooseFunctions(manifest, "default", prefer, TestModel().view());
  REQUIRE(choice.has_value());
  return choice->left_out;
}

Status Covers(const manifest::Manifest& manifest) {
  return CheckCovers(manifest, "default", TestModel().view());
}

constexpr auto kFunction = model::Encoding::kFunction;

}  // namespace

TEST_CASE("functions carry nested partitions, and of crossing ones the preferred", "[package]") {
  const manifest::Manifest manifest = Overlapping().get();
  CHECK(Chosen(manifest, kFunction, {}) == Ids{"ab", "if", "then", "b", "far"});
  CHECK(Chosen(manifest, kFunction, {"three"}) == Ids{"ab", "if", "then", "b", "far"});
  CHECK(Chosen(manifest, kFunction, {"one"}) == Ids{"bc", "if", "then", "b", "far"});
  CHECK(Chosen(manifest, kFunction, {"two", "one"}) == Ids{"bc", "if", "then", "b", "far"});
  CHECK(LeftOut(manifest, {"one"})["ab"] == "it crosses partition bc, which is a function");
  CHECK(ChooseFunctions(manifest, "default", {"nobody"}, TestModel().view()).status().code() ==
        StatusCode::kNotFound);
}

TEST_CASE("of partitions that wait for each other one is a function", "[package]") {
  TestManifest made;
  made.Add("sw", "", {"s", "w"}, {"s", "w"}).Add("vt", "", {"v", "t"}, {"v", "t"});
  made.Add("all", "", {"s", "v", "t", "w"}, {"t", "w"}).Scope("one", {"sw"}).Scope("two", {"vt"});
  CHECK(Chosen(made.get(), kFunction, {}) == Ids{"sw", "all"});
  CHECK(Chosen(made.get(), kFunction, {"two"}) == Ids{"vt", "all"});
  CHECK(LeftOut(made.get(), {})["vt"] ==
        "with others that are functions it leaves a cycle: vt -> sw -> vt");
}

TEST_CASE("a legalised partition comes first and holds no function", "[package]") {
  TestManifest made = Overlapping();
  Digest body;
  body.bytes.fill(1);
  made.get().partitions[1].body = body;  // bc
  made.get().partitions[2].body = body;  // if
  CHECK(Chosen(made.get(), kFunction, {"three"}) == Ids{"bc", "if", "far"});
  CHECK(LeftOut(made.get(), {})["then"] ==
        "it lies inside partition if, whose function has a body of its own");
  CHECK(LeftOut(made.get(), {})["b"] ==
        "it lies inside partition bc, whose function has a body of its own");
}

TEST_CASE("the flat graph carries every partition of its variant", "[package][encode]") {
  manifest::Manifest manifest = Overlapping().get();
  manifest.partitions.back().variant = "other";
  CHECK(Chosen(manifest, model::Encoding::kMetadata, {}) == Ids{"ab", "bc", "if", "then", "b"});
}

TEST_CASE("a body that the package does not have is an error for functions alone",
          "[package][encode]") {
  manifest::Manifest manifest = Overlapping().get();
  manifest.partitions[0].body = Digest{};
  CHECK(Chosen(manifest, model::Encoding::kMetadata, {}).size() == 6);
  CHECK_FALSE(
      FrontPartitions(manifest, "default", kFunction, {}, TestModel().view(), [](const Digest&) {
        return Result<std::string>(Status(StatusCode::kMalformed, "no body"));
      }).has_value());
}

TEST_CASE("a scope is a cover of the graph, else the offending path is named", "[package]") {
  CHECK(Covers(Overlapping().get()).ok());
  const auto message = [](TestManifest made) {
    const Status status = Covers(made.get());
    CHECK(status.code() == StatusCode::kMalformed);
    return status.message();
  };
  TestManifest made;
  made.Add("sw", "", {"s", "w"}, {"s", "w"}).Add("vt", "", {"v", "t"}, {"v", "t"});
  CHECK(Covers(made.get()).ok());
  CHECK(message(TestManifest(made).Scope("S", {"sw", "vt"})) ==
        "scope \"S\": not acyclic when contracted: sw -> vt -> sw");
  CHECK(message(TestManifest().Add("ac", "", {"a", "c"}, {"a", "c"}).Scope("S", {"ac"})) ==
        "scope \"S\": not convex: ac -> \"b\" -> ac");
  CHECK(message(Overlapping().Scope("S", {"ab", "bc"})) ==
        "scope \"S\": node \"b\": in ab and in bc");
  CHECK(message(Overlapping().Scope("S", {"if", "then"})) ==
        "scope \"S\": node \"y\": in partition if, and partition then is in its graphs");
  CHECK(message(TestManifest().Add("a", "", {"a"}, {"b"})) ==
        "partition a: value \"a\" is read outside, by node \"b\", and is no output of it");
  CHECK(message(TestManifest().Add("z", "", {"z"}, {})) ==
        "partition z: value \"z\" is read outside, by the graph's end, and is no output of it");
  CHECK(message(Overlapping().Add("ba", "", {"b", "a"}, {"b"})) ==
        "partition ba: has the nodes of partition ab");
  CHECK(message(TestManifest().Add("n", "", {"n"}, {})) ==
        "partition n: the graph has no node \"n\"");
  CHECK(message(TestManifest().Add("n", "/n.body", {"n"}, {})) ==
        "partition n: the model has no graph \"/n.body\"");
}

}  // namespace backendctx::package
