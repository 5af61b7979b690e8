#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "manifest/sample.h"

using namespace backendctx;  // NOLINT: tests read better without
using manifest::Manifest;
using test::Named;
using test::Outcome;
using test::Sample;

TEST_CASE("a manifest survives its bytes", "[manifest]") {
  const Manifest before = Sample();
  const std::string bytes = manifest::Encode(before);
  const auto parsed = test::Parse(bytes);
  REQUIRE(parsed);
  CHECK(manifest::Encode(*parsed) == bytes);
  CHECK(parsed->sequence == 3);
  CHECK(parsed->producer == "bctx-pack 0.1.0");
  CHECK(parsed->contents[2].size == 16384);
  CHECK(parsed->contents[3].digest == Named("blob"));
  const manifest::Partition& partition = *parsed->FindPartition("attention-1");
  CHECK(partition.nodes == std::vector<std::string>{"b_MatMul", "b_Softmax"});
  CHECK(partition.inputs[0].dims[0].value == -1);
  CHECK(partition.inputs[0].dims[0].symbol == "batch");
  CHECK(partition.inputs[0].dims[2].value == 64);
  CHECK(partition.inputs[0].equal_values == std::vector<std::string>{"x_copy"});
  CHECK(partition.inputs[1].content == Named("weight"));
  CHECK(partition.inputs[2].has_shape);
  CHECK_FALSE(partition.outputs[0].has_shape);
  CHECK(partition.body == Named("body"));
  const manifest::Context& context = *parsed->FindContext("attention-1/cpu-attention/x86-64-v3");
  CHECK(context.weights == manifest::WeightsKind::kEmbedded);
  CHECK(context.requirements[1].values == std::vector<std::string>{"avx2", "fma"});
  CHECK(context.options[1].value == "4");
  CHECK(context.proof.passed);
  CHECK(context.proof.tolerance == 1e-4);
  CHECK(parsed->contexts[2].proof.reason == "no aarch64 host");
  CHECK(parsed->scopes[0].contexts.size() == 3);
  CHECK(parsed->aliases[0].mode == manifest::AliasMode::kScatterLinear);
  CHECK(parsed->FindVariant("default") != nullptr);
  CHECK(parsed->FindVariant("other") == nullptr);
  CHECK(parsed->FindPartition("") == nullptr);
}

TEST_CASE("a dimension of zero is not an unknown one", "[manifest]") {
  Manifest sample = Sample();
  sample.partitions[0].inputs[0].dims[1].value = 0;
  const auto parsed = test::Parse(manifest::Encode(sample));
  REQUIRE(parsed);
  CHECK(parsed->partitions[0].inputs[0].dims[1].value == 0);
}

TEST_CASE("an empty manifest of this version is sound", "[manifest]") {
  CHECK(Outcome(manifest::Encode({})) == "ok");
}

TEST_CASE("a later major version, a required feature and another digest are unsupported",
          "[manifest][hostile]") {
  Manifest sample = Sample();
  SECTION("major") {
    sample.format_major = 1;
    CHECK(Outcome(manifest::Encode(sample)) == "unsupported-version format_major");
  }
  SECTION("feature") {
    sample.required_features = {"recipes"};
    sample.producer = "bctx-pack 0.9.0";
    const auto parsed = test::Parse(manifest::Encode(sample));
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == StatusCode::kUnsupportedVersion);
    CHECK_THAT(parsed.error().message(), Catch::Contains("recipes"));
    CHECK_THAT(parsed.error().message(), Catch::Contains("bctx-pack 0.9.0"));
  }
  SECTION("a newer minor version is accepted") {
    sample.format_minor = 77;
    CHECK(Outcome(manifest::Encode(sample)) == "ok");
  }
  SECTION("digest algorithm") {
    std::string bytes = manifest::Encode(sample);
    const size_t at = bytes.find("sha256");
    for (const char* other : {"sha512", "SHA256", "none\0\0"}) {
      std::string changed = bytes;
      changed.replace(at, 6, other, 6);
      CHECK(Outcome(changed) != "ok");
    }
    bytes.replace(at - 1, 7, "\x04none");
    CHECK(Outcome(bytes) == "unsupported-version digest_algorithm");
  }
}

TEST_CASE("numbers that mean nothing are refused", "[manifest][hostile]") {
  Manifest sample = Sample();
  REQUIRE(Outcome(manifest::Encode(sample)) == "ok");
  const auto is = [&](const char* outcome) { CHECK(Outcome(manifest::Encode(sample)) == outcome); };
  SECTION("content kind 0") {
    sample.contents[0].kind = static_cast<manifest::ContentKind>(0);
    is("malformed contents[0].kind");
  }
  SECTION("content kind of a later version") {
    sample.contents[0].kind = static_cast<manifest::ContentKind>(9);
    is("unsupported-version contents[0].kind");
  }
  SECTION("content without bytes") {
    sample.contents[2].size = 0;
    is("malformed contents[2].size");
  }
  SECTION("role 0") {
    sample.partitions[0].inputs[1].role = static_cast<manifest::ValueRole>(0);
    is("malformed partitions[0].inputs[1].role");
  }
  SECTION("negative element type") {
    sample.partitions[0].inputs[0].element_type = -1;
    is("malformed partitions[0].inputs[0].element_type");
  }
  SECTION("ten thousand dimensions") {
    sample.partitions[0].inputs[0].dims.resize(10000);
    is("malformed partitions[0].inputs[0].shape");
  }
  SECTION("predicate 0") {
    sample.contexts[0].requirements[0].predicate = 0;
    is("malformed contexts[0].requirements[0].predicate");
  }
  SECTION("negative predicate") {
    sample.contexts[0].requirements[0].predicate = 0xffffffffu;
    is("malformed contexts[0].requirements[0].predicate");
  }
  SECTION("tolerance that is no number") {
    sample.contexts[0].proof.tolerance = std::nan("");
    is("malformed contexts[0].passed.tolerance");
  }
  SECTION("infinite tolerance") {
    sample.contexts[0].proof.tolerance = std::numeric_limits<double>::infinity();
    is("malformed contexts[0].passed.tolerance");
  }
  SECTION("negative tolerance") {
    sample.contexts[0].proof.tolerance = -1;
    is("malformed contexts[0].passed.tolerance");
  }
  SECTION("negative axis") {
    sample.aliases[0].axis = -1;
    is("malformed aliases[0].axis");
  }
  SECTION("alias mode 0") {
    sample.aliases[0].mode = static_cast<manifest::AliasMode>(0);
    is("malformed aliases[0].mode");
  }
}

TEST_CASE("a preference is kept, and none is written where there is none", "[manifest]") {
  Manifest sample = Sample();
  const std::string plain = manifest::Encode(sample);
  sample.contexts[0].requirements[1].preferred = true;
  const std::string with = manifest::Encode(sample);
  CHECK(with.size() == plain.size() + 2);  // the field's number and its value
  const auto parsed = test::Parse(with);
  REQUIRE(parsed);
  CHECK(parsed->contexts[0].requirements == sample.contexts[0].requirements);
  CHECK_FALSE(parsed->contexts[0].requirements[0].preferred);
}

TEST_CASE("an unknown predicate or weights kind is kept for the selection to judge", "[manifest]") {
  Manifest sample = Sample();
  sample.contexts[0].requirements[0].predicate = 99;
  sample.contexts[1].weights = static_cast<manifest::WeightsKind>(9);
  const auto parsed = test::Parse(manifest::Encode(sample));
  REQUIRE(parsed);
  CHECK(parsed->contexts[0].requirements[0].predicate == 99);
  CHECK(static_cast<int>(parsed->contexts[1].weights) == 9);
}

TEST_CASE("names that hold control characters or no UTF-8 are malformed and named",
          "[manifest][hostile]") {
  for (const std::string bad :
       std::initializer_list<const char*>{"a\nb", "a\x1b[31mb", "\xed\xa0\x80", "\xff"}) {
    Manifest sample = Sample();
    sample.partitions[1].outputs[0].name = bad;
    CHECK(Outcome(manifest::Encode(sample)) == "malformed partitions[1].outputs[0].name");
    sample = Sample();
    sample.scopes[0].contexts[2] = bad;
    CHECK(Outcome(manifest::Encode(sample)) == "malformed scopes[0].contexts[2]");
  }
}

TEST_CASE("every bit of a manifest that is flipped is an error or another manifest",
          "[manifest][hostile]") {
  const std::string good = manifest::Encode(Sample());
  size_t accepted = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const auto parsed = test::Parse(bytes);
    INFO("bit " << bit);
    if (parsed) {
      ++accepted;  // a name, a size, a digest: the signature covers it
      continue;
    }
    const StatusCode code = parsed.error().code();
    REQUIRE((code == StatusCode::kMalformed || code == StatusCode::kUnsupportedVersion));
  }
  CHECK(accepted < good.size() * 8);
  CHECK(accepted > 0);
}

TEST_CASE("a manifest cut anywhere is malformed or lacks what others refer to",
          "[manifest][hostile]") {
  const std::string good = manifest::Encode(Sample());
  size_t sound = 0;
  for (size_t size = 0; size < good.size(); ++size) {
    sound += Outcome(good.substr(0, size)) == "ok" ? 1 : 0;
  }
  // Cuts between the last top-level fields; the entry's size and digest cover those.
  CHECK(sound <= Sample().scopes.size() + Sample().aliases.size() + Sample().contexts.size() +
                     Sample().partitions.size() + Sample().variants.size() +
                     Sample().contents.size() + 8);
}
