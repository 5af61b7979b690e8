#include <catch2/catch.hpp>
#include <cstring>

#include "fake_table.h"

namespace backendctx::plugin {
namespace {

const size_t kFirst[] = {3, 1};
const size_t kSecond[] = {0};

Result<Offer> OfferOf(size_t nodes, std::function<void(bctx_offer*)> fill) {
  const bctx_plugin table = FakeTable();
  fake.offer = [fill = std::move(fill)](const bctx_offer_request*, bctx_offer* offer, bctx_error*) {
    fill(offer);
    return BCTX_OK;
  };
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  bctx_graph graph{};
  graph.node_count = nodes;
  bctx_offer_request request{};
  request.struct_size = sizeof(request);
  request.graph = &graph;
  return AskOffer(*plugin, request);
}

TEST_CASE("an offer is copied, then released", "[plugin]") {
  static const bctx_claim claims[] = {{kFirst, 2, 0}, {kSecond, 1, 1}};
  static const bctx_refusal refusals[] = {{2, "no such operator"}};
  const Result<Offer> offer = OfferOf(4, [](bctx_offer* out) {
    CHECK(out->struct_size == sizeof(bctx_offer));
    *out = {out->struct_size, claims, 2, refusals, 1, nullptr};
  });
  REQUIRE(offer);
  REQUIRE(offer->claims.size() == 2);
  CHECK(offer->claims[0].nodes == std::vector<size_t>{1, 3});
  CHECK_FALSE(offer->claims[0].whole);
  CHECK(offer->claims[1].whole);
  REQUIRE(offer->refusals.size() == 1);
  CHECK(offer->refusals[0] == std::pair<size_t, std::string>(2, "no such operator"));
  CHECK(fake.released == 1);
}

TEST_CASE("claims on nodes that were not offered are named with what is wrong",
          "[plugin][hostile]") {
  static const size_t beyond[] = {4}, twice[] = {1, 1};
  static const bctx_claim outside[] = {{beyond, 1, 0}}, repeated[] = {{twice, 2, 0}},
                          shared[] = {{kFirst, 2, 0}, {kFirst, 1, 0}}, empty[] = {{kFirst, 0, 0}},
                          hollow[] = {{nullptr, 2, 0}}, endless[] = {{kFirst, SIZE_MAX, 0}};
  static const bctx_refusal far[] = {{9, "why"}}, mute[] = {{0, nullptr}}, odd[] = {{0, "a\nb"}};
  const std::pair<bctx_offer, std::string> rows[] = {
      {{0, outside, 1, nullptr, 0, nullptr}, "claim 0: names node 4, and 4 were offered"},
      {{0, repeated, 1, nullptr, 0, nullptr}, "claim 0: node 1 is claimed twice"},
      {{0, shared, 2, nullptr, 0, nullptr}, "claim 1: node 3 is claimed twice"},
      {{0, empty, 1, nullptr, 0, nullptr}, "claim 0: has no node"},
      {{0, hollow, 1, nullptr, 0, nullptr}, "nodes of a claim: 2 promised, none delivered"},
      {{0, endless, 1, nullptr, 0, nullptr}, "nodes of a claim: found 18446744073709551615"},
      {{0, nullptr, 1, nullptr, 0, nullptr}, "claims: 1 promised, none delivered"},
      {{0, outside, 5, nullptr, 0, nullptr}, "claims: found 5 of them for 4 nodes"},
      {{0, nullptr, 0, far, 1, nullptr}, "refusal 0: names node 9, and 4 were offered"},
      {{0, nullptr, 0, mute, 1, nullptr}, "refusal 0: expected a short reason"},
      {{0, nullptr, 0, odd, 1, nullptr}, "refusal 0: expected a short reason"},
  };
  for (const auto& [given, text] : rows) {
    const Status status = OfferOf(4, [&given = given](bctx_offer* out) { *out = given; }).status();
    INFO(status.message());
    CHECK(status.code() == StatusCode::kInternal);
    CHECK(status.message().starts_with("fake: offer: " + text));
    CHECK(fake.released == 1);
  }
}

TEST_CASE("a backend without offers says so", "[plugin]") {
  bctx_plugin table = FakeTable();
  table.offer = nullptr;
  CHECK_FALSE(Plugin::FromTable(&table));  // release_offer alone
  table.release_offer = nullptr;
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  CHECK(AskOffer(*plugin, {}).status().code() == StatusCode::kUnimplemented);
}

TEST_CASE("labels, facts and verdicts are copied and checked", "[plugin][hostile]") {
  const bctx_plugin table = FakeTable();
  const Result<Plugin> plugin = Plugin::FromTable(&table);
  REQUIRE(plugin);
  fake.say = [](bctx_sink* sink, bctx_error*) {
    sink->add(sink, "label", "v73");
    return BCTX_OK;
  };
  const auto label = LabelOf(*plugin, "blob");
  REQUIRE(label);
  CHECK(*label == "v73");
  CHECK(FactsOf(*plugin).status().message().find("key 'label'") != std::string::npos);

  fake.say = [](bctx_sink* sink, bctx_error*) {
    sink->add(sink, "library.fake", "2");
    sink->add(sink, "vendor.fake", "npu");
    return BCTX_OK;
  };
  const auto facts = FactsOf(*plugin);
  REQUIRE(facts);
  CHECK(*facts == std::vector<manifest::KeyValue>{{"library.fake", "2"}, {"vendor.fake", "npu"}});

  const std::pair<const char*, const char*> bad[] = {
      {nullptr, "x"}, {"vendor.fake", nullptr}, {"library.a", "\x1b"}, {"vendor.other", "x"}};
  for (const auto& [key, value] : bad) {
    fake.say = [key = key, value = value](bctx_sink* sink, bctx_error*) {
      sink->add(sink, key, value);
      return BCTX_OK;
    };
    CHECK(FactsOf(*plugin).status().code() == StatusCode::kInternal);
  }
  fake.say = [](bctx_sink* sink, bctx_error*) {
    for (int i = 0; i < 2000; ++i) sink->add(sink, "library.a", "x");
    return BCTX_OK;
  };
  CHECK(FactsOf(*plugin).status().message().find("more than 1024") != std::string::npos);

  fake.judge = [](const char*, bctx_judgement* judgement, bctx_error*) {
    judgement->verdict = BCTX_UNSUPPORTED_HERE;
    std::memset(judgement->reason, 'x', sizeof(judgement->reason));
    return BCTX_OK;
  };
  const auto judged = JudgeLabel(*plugin, "v73");
  REQUIRE(judged);
  CHECK(judged->verdict == BCTX_UNSUPPORTED_HERE);
  CHECK(judged->reason.size() == sizeof(bctx_judgement::reason));
  fake.judge = [](const char*, bctx_judgement* judgement, bctx_error*) {
    judgement->verdict = 4;
    return BCTX_OK;
  };
  CHECK(JudgeLabel(*plugin, "v73").status().message() == "fake: judge: verdict 4 is none");
}

}  // namespace
}  // namespace backendctx::plugin
