#include <catch2/catch.hpp>
#include <deque>

#include "backendctx/selection.h"

namespace backendctx {
namespace {

using manifest::Context;
using manifest::Partition;

// A package in miniature: partitions and contexts keep their addresses.
class Fixture {
 public:
  Partition* AddPartition(const std::string& id, std::vector<std::string> nodes,
                          const std::string& graph = "") {
    Partition& partition = partitions_.emplace_back();
    partition.id = id;
    partition.variant = "default";
    partition.graph_path = graph;
    partition.nodes = std::move(nodes);
    return &partition;
  }
  Candidate* Add(const Partition* partition, const std::string& id,
                 std::vector<std::string> features = {}, const std::string& backend = "cpu") {
    Context& context = contexts_.emplace_back();
    context.id = id;
    context.partition = partition->id;
    context.backend = backend;
    context.proof.passed = true;
    if (!features.empty()) context.requirements = {{"cpu.features", 3, std::move(features)}};
    Candidate candidate;
    candidate.context = &context;
    candidate.partition = partition;
    candidates_.push_back(candidate);
    return &candidates_.back();
  }
  Context* last() { return &contexts_.back(); }

  // "CONTEXT outcome reason" of each, in order.
  std::vector<std::string> Outcomes(const Policy& policy = {}) const {
    HostProfile host;
    host.facts["cpu.features"] = std::vector<std::string>{"avx2", "avx512f", "fma"};
    std::vector<std::string> shown;
    for (const Decision& decision :
         Decide({candidates_.begin(), candidates_.end()}, host, policy)) {
      shown.push_back(decision.context + " " + OutcomeName(decision.outcome) + " " +
                      decision.reason);
      last_detail_ = decision.detail;
    }
    return shown;
  }
  const std::string& last_detail() const { return last_detail_; }

 private:
  std::deque<Partition> partitions_;
  std::deque<Context> contexts_;
  std::deque<Candidate> candidates_;
  mutable std::string last_detail_;
};

using Strings = std::vector<std::string>;

TEST_CASE("a candidate that cannot run is refused with its own reason", "[select]") {
  struct Row {
    std::function<void(Candidate*, Context*)> spoil;
    std::string outcome, detail;
  };
  const Row rows[] = {
      {[](Candidate*, Context*) {}, "c chosen ok", ""},
      {[](Candidate* c, Context*) { c->present = false; }, "c absent absent",
       "its blob is not stored in this package"},
      {[](Candidate* c, Context*) { c->stale = "operand 2 is float16"; }, "c stale stale",
       "operand 2 is float16"},
      {[](Candidate*, Context* x) { x->requirements = {{"cpu.features", 3, {"amx_tile"}}}; },
       "c rejected incompatible", "cpu.features: the host lacks amx_tile"},
      {[](Candidate*, Context* x) { x->requirements = {{"device.npu.model", 1, {"43"}}}; },
       "c rejected not-applicable", "device.npu.model: the host has no device of kind npu"},
      {[](Candidate*, Context* x) { x->requirements = {{"cpu.features", 3, {"amx_tile"}, true}}; },
       "c chosen ok", "a new compile would be better: cpu.features: the host lacks amx_tile"},
      {[](Candidate*, Context* x) { x->requirements = {{"input.0.rank", 1, {"4"}}}; },
       "c rejected incompatible", "input.0.rank: the partition has 0 inputs"},
      {[](Candidate* c, Context* x) {
         x->requirements = {{"vendor.cpu", 8, {"opaque"}}};
         c->vendor_verdict = Verdict::kUnsupported;
         c->vendor_reason = "made for another chip";
       },
       "c rejected incompatible", "vendor.cpu: the vendor's plug-in says: made for another chip"},
      {[](Candidate* c, Context*) { c->refused = "cpu: load: needs a newer driver"; },
       "c rejected incompatible", "cpu: load: needs a newer driver"},
      {[](Candidate* c, Context*) { c->driver_found = false; }, "c rejected no-driver",
       "no plug-in at hand loads blobs of backend cpu"},
      {[](Candidate* c, Context*) { c->untrusted = "signed by key 00, which is not trusted"; },
       "c rejected untrusted", "signed by key 00, which is not trusted"},
  };
  for (const Row& row : rows) {
    Fixture fixture;
    Candidate* candidate = fixture.Add(fixture.AddPartition("p", {"a"}), "c");
    row.spoil(candidate, fixture.last());
    CHECK(fixture.Outcomes() == Strings{row.outcome});
    CHECK(fixture.last_detail() == row.detail);
  }
}

TEST_CASE("the vendor's plug-in goes before the comparison of strings", "[select]") {
  Fixture fixture;
  Candidate* candidate = fixture.Add(fixture.AddPartition("p", {"a"}), "c");
  fixture.last()->requirements = {{"vendor.cpu", 8, {"one"}}};
  HostProfile host;
  host.facts["vendor.cpu"] = "another";
  const auto decide = [&] { return Decide({*candidate}, host, {}).front(); };
  CHECK(decide().verdict == Verdict::kUnsupported);
  candidate->vendor_verdict = Verdict::kRecompilePreferred;
  candidate->vendor_reason = "a newer one is faster";
  CHECK(decide().verdict == Verdict::kRecompilePreferred);
  CHECK(decide().outcome == Outcome::kChosen);
  CHECK(decide().detail == "vendor.cpu: the vendor's plug-in says: a newer one is faster");
  candidate->vendor_verdict = Verdict::kOptimal;
  CHECK(decide().verdict == Verdict::kOptimal);
  CHECK(decide().detail.empty());
}

TEST_CASE("code that is not stored is judged as if it were when the policy asks for that",
          "[select]") {
  Fixture fixture;
  const Partition* p = fixture.AddPartition("p", {"a"});
  fixture.Add(p, "fits", {"avx2"})->present = false;
  fixture.Add(p, "not", {"amx_tile"})->present = false;
  CHECK(fixture.Outcomes() == Strings{"fits absent absent", "not absent absent"});
  Policy policy;
  policy.assume_stored = true;
  CHECK(fixture.Outcomes(policy) == Strings{"fits chosen ok", "not rejected incompatible"});
}

TEST_CASE("an unproved context runs and says so, unless proof is required", "[select]") {
  Fixture fixture;
  fixture.Add(fixture.AddPartition("p", {"a"}), "c");
  fixture.last()->proof.passed = false;
  fixture.last()->proof.reason = "no host for avx512f";
  CHECK(fixture.Outcomes() == Strings{"c chosen ok"});
  CHECK(fixture.last_detail() == "unproved: no host for avx512f");
  Policy policy;
  policy.require_proof = true;
  CHECK(fixture.Outcomes(policy) == Strings{"c rejected unproved"});
  CHECK(fixture.last_detail() == "its proof was not run: no host for avx512f");
}

TEST_CASE("the more special build of a partition is chosen, then the lower id", "[select]") {
  Fixture fixture;
  const Partition* p = fixture.AddPartition("p", {"a"});
  fixture.Add(p, "v3", {"avx2", "fma"});
  fixture.Add(p, "v4", {"avx2", "avx512f", "fma"});
  fixture.Add(p, "amx", {"amx_tile", "avx2", "avx512f", "fma"});
  CHECK(fixture.Outcomes() ==
        Strings{"v3 rejected outranked", "v4 chosen ok", "amx rejected incompatible"});
  const Partition* q = fixture.AddPartition("q", {"b"});
  fixture.Add(q, "z", {"avx2"});
  fixture.Add(q, "y", {"avx2"});
  const Strings outcomes = fixture.Outcomes();
  CHECK(outcomes[3] == "z rejected outranked");
  CHECK(outcomes[4] == "y chosen ok");
}

TEST_CASE("a build that meets its preferences goes before a more special one that does not",
          "[select]") {
  Fixture fixture;
  const Partition* p = fixture.AddPartition("p", {"a"});
  fixture.Add(p, "special", {"avx2", "avx512f", "fma"});
  fixture.last()->requirements.push_back({"cpu.features", 3, {"amx_tile"}, true});
  fixture.last()->proof.passed = false;
  fixture.last()->proof.reason = "no host";
  CHECK(fixture.Outcomes() == Strings{"special chosen ok"});
  CHECK(fixture.last_detail() ==
        "a new compile would be better: cpu.features: the host lacks amx_tile; unproved: no host");
  fixture.Add(p, "plain", {"avx2"});
  CHECK(fixture.Outcomes() == Strings{"special rejected outranked", "plain chosen ok"});
}

TEST_CASE("the policy's order of backends goes before everything else", "[select]") {
  Fixture fixture;
  const Partition* p = fixture.AddPartition("p", {"a"});
  fixture.Add(p, "first", {}, "alpha");
  fixture.Add(p, "special", {"avx2"}, "beta");
  CHECK(fixture.Outcomes() == Strings{"first chosen ok", "special rejected outranked"});
  Policy policy;
  policy.backends = {"beta"};
  CHECK(fixture.Outcomes(policy) == Strings{"first rejected outranked", "special chosen ok"});
  policy.backends = {"unknown", "alpha", "beta"};
  CHECK(fixture.Outcomes(policy) == Strings{"first chosen ok", "special rejected outranked"});
}

TEST_CASE("of partitions that share a node the one met first is chosen", "[select]") {
  Fixture fixture;
  fixture.Add(fixture.AddPartition("outer", {"a", "b", "c"}), "o");
  fixture.Add(fixture.AddPartition("inner", {"b"}), "i");
  fixture.Add(fixture.AddPartition("apart", {"d"}), "d");
  CHECK(fixture.Outcomes() == Strings{"o chosen ok", "i rejected overlaps", "d chosen ok"});
}

TEST_CASE("a partition that cannot run does not keep others from its nodes", "[select]") {
  Fixture fixture;
  fixture.Add(fixture.AddPartition("outer", {"a", "b"}), "o")->untrusted = "no";
  fixture.Add(fixture.AddPartition("inner", {"b"}), "i");
  CHECK(fixture.Outcomes() == Strings{"o rejected untrusted", "i chosen ok"});
}

TEST_CASE("nodes of the same key in other graphs or variants are other nodes", "[select]") {
  Fixture fixture;
  fixture.Add(fixture.AddPartition("top", {"a"}), "t");
  fixture.Add(fixture.AddPartition("branch", {"a"}, "/if.then_branch"), "b");
  Partition* variant = fixture.AddPartition("variant", {"a"});
  variant->variant = "int8";
  fixture.Add(variant, "v");
  CHECK(fixture.Outcomes() == Strings{"t chosen ok", "b chosen ok", "v chosen ok"});
}

TEST_CASE("a partition that holds a node with graphs overlaps what is inside", "[select]") {
  SECTION("holder first") {
    Fixture fixture;
    fixture.Add(fixture.AddPartition("holder", {"if"}), "h");
    fixture.Add(fixture.AddPartition("inside", {"x"}, "/if.then_branch/loop.body"), "i");
    CHECK(fixture.Outcomes() == Strings{"h chosen ok", "i rejected overlaps"});
  }
  SECTION("inner first") {
    Fixture fixture;
    fixture.Add(fixture.AddPartition("inside", {"x"}, "/if.then_branch/loop.body"), "i");
    fixture.Add(fixture.AddPartition("holder", {"if"}), "h");
    CHECK(fixture.Outcomes() == Strings{"i chosen ok", "h rejected overlaps"});
  }
}

TEST_CASE("no candidates give no decisions", "[select]") { CHECK(Decide({}, {}, {}).empty()); }

}  // namespace
}  // namespace backendctx
