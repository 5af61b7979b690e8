// References between the parts: each broken one has its code and field, the repaired one passes.
#include <catch2/catch.hpp>

#include "manifest/sample.h"

using namespace backendctx;  // NOLINT: tests read better without
using manifest::ContentKind;
using manifest::Manifest;
using manifest::ValueRole;
using test::Named;
using test::Sample;

namespace {

template <typename Change>
std::string After(Change change) {
  Manifest sample = Sample();
  change(&sample);
  return test::Outcome(manifest::Encode(sample));
}

}  // namespace

TEST_CASE("a content that is listed twice is malformed", "[manifest][hostile]") {
  REQUIRE(After([](Manifest*) {}) == "ok");
  CHECK(After([](Manifest* m) { m->contents.push_back(m->contents[2]); }) ==
        "malformed contents[4].digest");
}

TEST_CASE("a variant without its graph, without a name or twice is malformed",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->variants[0].graph = Named("x"); }) ==
        "malformed variants[0].graph");
  // A content of that digest but of another kind does not serve.
  CHECK(After([](Manifest* m) { m->variants[0].graph = Named("weight"); }) ==
        "malformed variants[0].graph");
  CHECK(After([](Manifest* m) { m->variants[0].name = ""; }) == "malformed variants[0].name");
  CHECK(After([](Manifest* m) { m->variants.push_back(m->variants[0]); }) ==
        "malformed variants[1].name");
}

TEST_CASE("a partition id is unique, short and plain", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[1].id = "attention-0"; }) ==
        "malformed partitions[1].id");
  for (const std::string& id : {std::string(), std::string("A"), std::string("a b"),
                                std::string("a/b"), std::string("../x"), std::string(129, 'a')}) {
    CHECK(After([&](Manifest* m) { m->partitions[0].id = id; }) == "malformed partitions[0].id");
  }
}

TEST_CASE("a partition of an unknown variant is malformed", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[0].variant = "int8"; }) ==
        "malformed partitions[0].variant");
}

TEST_CASE("a partition has nodes, each once, and no other partition has the same",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[0].nodes.clear(); }) ==
        "malformed partitions[0].nodes");
  CHECK(After([](Manifest* m) { m->partitions[0].nodes[1] = m->partitions[0].nodes[0]; }) ==
        "malformed partitions[0].nodes[1]");
  CHECK(After([](Manifest* m) { m->partitions[1].nodes = m->partitions[0].nodes; }) ==
        "malformed partitions[1].nodes");
}

TEST_CASE("two partitions do not share a function", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[1].function = m->partitions[0].function; }) ==
        "malformed partitions[1].function");
  CHECK(After([](Manifest* m) { m->partitions[1].function = ""; }) ==
        "malformed partitions[1].function");
}

TEST_CASE("inputs are activations, weights, constants, each with the digest that its role asks for",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) {
          std::swap(m->partitions[0].inputs[0], m->partitions[0].inputs[1]);
        }) == "malformed partitions[0].inputs[1].role");
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[1].content.reset(); }) ==
        "malformed partitions[0].inputs[1].content");
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[2].content.reset(); }) ==
        "malformed partitions[0].inputs[2].content");
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[0].content = Named("weight"); }) ==
        "malformed partitions[0].inputs[0].content");
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[1].name = "x"; }) ==
        "malformed partitions[0].inputs[1].name");
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[1].name = ""; }) ==
        "malformed partitions[0].inputs[1].name");
}

TEST_CASE("a weight that is no tensor of the contents is malformed", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[0].inputs[1].content = Named("x"); }) ==
        "malformed partitions[0].inputs[1].content");
  CHECK(After([](Manifest* m) { m->contents[2].kind = ContentKind::kBlob; }) ==
        "malformed partitions[0].inputs[1].content");
}

TEST_CASE("a partition has outputs, and they are activations", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[0].outputs.clear(); }) ==
        "malformed partitions[0].outputs");
  CHECK(After([](Manifest* m) { m->partitions[0].outputs[0].role = ValueRole::kWeight; }) ==
        "malformed partitions[0].outputs[0]");
}

TEST_CASE("a legalised body has its content and its digest, or neither", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->partitions[1].body_structure_digest.reset(); }) ==
        "malformed partitions[1].body");
  CHECK(After([](Manifest* m) { m->partitions[1].body.reset(); }) ==
        "malformed partitions[1].body");
  CHECK(After([](Manifest* m) { m->partitions[1].body = Named("blob"); }) ==
        "malformed partitions[1].body");
}

TEST_CASE("a context refers to a partition and a blob that are there", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->contexts[0].partition = "attention-7"; }) ==
        "malformed contexts[0].partition");
  CHECK(After([](Manifest* m) { m->contexts[0].blob = Named("x"); }) ==
        "malformed contexts[0].blob");
  CHECK(After([](Manifest* m) { m->contexts[0].blob = Named("weight"); }) ==
        "malformed contexts[0].blob");
  CHECK(After([](Manifest* m) { m->contexts[1].id = m->contexts[0].id; }) ==
        "malformed contexts[1].id");
  CHECK(After([](Manifest* m) { m->contexts[0].backend = ""; }) == "malformed contexts[0].backend");
  CHECK(After([](Manifest* m) { m->contexts[0].target = ""; }) == "malformed contexts[0].target");
  CHECK(After([](Manifest* m) { m->contexts[0].entry = ""; }) == "malformed contexts[0].entry");
  CHECK(After([](Manifest* m) { m->contexts[0].compiler = ""; }) ==
        "malformed contexts[0].compiler");
}

TEST_CASE("options are sorted and each is there once", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) {
          std::swap(m->contexts[0].options[0], m->contexts[0].options[1]);
        }) == "malformed contexts[0].options[1]");
  CHECK(After([](Manifest* m) { m->contexts[0].options[1] = m->contexts[0].options[0]; }) ==
        "malformed contexts[0].options[1]");
  CHECK(After([](Manifest* m) { m->contexts[0].options[0].key = ""; }) ==
        "malformed contexts[0].options[0]");
}

TEST_CASE("a context that names weights which are absent or changed is malformed",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->contexts[1].weight_digests[0] = Named("x"); }) ==
        "malformed contexts[1].weight_digests[0]");
  CHECK(After([](Manifest* m) { m->contexts[1].weight_digests[0] = Named("graph"); }) ==
        "malformed contexts[1].weight_digests[0]");
}

TEST_CASE("a blob that holds weights is bound to them, and one without is not",
          "[manifest][hostile]") {
  using manifest::WeightsKind;
  for (const auto kind : {WeightsKind::kEmbedded, WeightsKind::kRefit, WeightsKind::kOffset}) {
    CHECK(After([&](Manifest* m) { m->contexts[1].weights = kind; }) == "ok");
    CHECK(After([&](Manifest* m) { m->contexts[0].weights = kind; }) ==
          "malformed contexts[0].weight_digests");
  }
  for (const auto kind : {WeightsKind::kNone, WeightsKind::kInputs}) {
    CHECK(After([&](Manifest* m) { m->contexts[0].weights = kind; }) == "ok");
    CHECK(After([&](Manifest* m) { m->contexts[1].weights = kind; }) ==
          "malformed contexts[1].weight_digests");
  }
}

TEST_CASE("requirements have keys and values, and a proof that was not run has its reason",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->contexts[0].requirements[0].key = ""; }) ==
        "malformed contexts[0].requirements[0].key");
  CHECK(After([](Manifest* m) { m->contexts[0].requirements[0].values.clear(); }) ==
        "malformed contexts[0].requirements[0].values");
  CHECK(After([](Manifest* m) { m->contexts[2].proof.reason = ""; }) ==
        "malformed contexts[2].not_run.reason");
}

TEST_CASE("a scope lists contexts of its own backend and variant, each once",
          "[manifest][hostile]") {
  CHECK(After([](Manifest* m) { m->scopes[0].contexts[0] = "x"; }) ==
        "malformed scopes[0].contexts[0]");
  CHECK(After([](Manifest* m) { m->scopes[0].contexts[1] = m->scopes[0].contexts[0]; }) ==
        "malformed scopes[0].contexts[1]");
  CHECK(After([](Manifest* m) { m->scopes[0].backend = "other"; }) ==
        "malformed scopes[0].contexts[0]");
  CHECK(After([](Manifest* m) { m->scopes[0].variant = "int8"; }) == "malformed scopes[0].variant");
  CHECK(After([](Manifest* m) { m->scopes.push_back(m->scopes[0]); }) ==
        "malformed scopes[1].name");
}

TEST_CASE("a scope whose partitions overlap is malformed, and two scopes may overlap",
          "[manifest][hostile]") {
  const auto overlap = [](Manifest* m) {
    m->partitions[1].nodes = {"b_MatMul", m->partitions[0].nodes[0]};
  };
  CHECK(After(overlap) == "malformed scopes[0].contexts");
  CHECK(After([&](Manifest* m) {
          overlap(m);
          m->scopes.push_back(m->scopes[0]);
          m->scopes[1].name = "second";
          m->scopes[0].contexts = {m->contexts[0].id};
          m->scopes[1].contexts = {m->contexts[1].id, m->contexts[2].id};
        }) == "ok");
  // The same names in another graph are other nodes.
  CHECK(After([&](Manifest* m) {
          overlap(m);
          m->partitions[1].graph_path = "/if.then_branch";
        }) == "ok");
}

TEST_CASE("an input or output is aliased once, and a scatter says where", "[manifest][hostile]") {
  CHECK(After([](Manifest* m) {
          m->aliases.push_back(m->aliases[0]);
          m->aliases[1].output = "other";
        }) == "malformed aliases[1].input");
  CHECK(After([](Manifest* m) {
          m->aliases.push_back(m->aliases[0]);
          m->aliases[1].input = "other";
        }) == "malformed aliases[1].output");
  CHECK(After([](Manifest* m) { m->aliases[0].index_input = ""; }) ==
        "malformed aliases[0].index_input");
  CHECK(After([](Manifest* m) {
          m->aliases[0].index_input = "";
          m->aliases[0].mode = manifest::AliasMode::kAppend;
        }) == "ok");
}

TEST_CASE("a digest of another length is malformed", "[manifest][hostile]") {
  std::string bytes = manifest::Encode(Sample());
  const std::string digest(base::AsText(Named("graph").bytes));
  const size_t at = bytes.find(digest);
  REQUIRE(at != std::string::npos);
  // The first content: tag and length of the message, kind, tag and length of the digest.
  REQUIRE(bytes[at - 1] == 32);
  bytes.erase(at, 1);
  bytes[at - 1] = 31;
  bytes[at - 5] = static_cast<char>(bytes[at - 5] - 1);
  CHECK(test::Outcome(bytes) == "malformed contents[0].digest");
}
