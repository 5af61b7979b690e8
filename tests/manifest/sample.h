// A manifest with one of everything, for the tests of this folder.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "base/bytes.h"
#include "crypto/sha256.h"
#include "manifest/manifest.h"

namespace backendctx::test {

inline Digest Named(const std::string& text) { return crypto::Sha256(text); }

inline manifest::Partition SamplePartition(const std::string& id, const std::string& node) {
  using manifest::ValueRole;
  manifest::Partition partition;
  partition.id = id;
  partition.variant = "default";
  partition.nodes = {node + "_MatMul", node + "_Softmax"};
  partition.inputs = {
      {"x", ValueRole::kActivation, 1, true, {{-1, "batch"}, {-1, ""}, {64, ""}}, {}, {"x_copy"}},
      {"w", ValueRole::kWeight, 1, true, {{64, ""}, {64, ""}}, Named("weight"), {}},
      {"scale", ValueRole::kConstant, 1, true, {}, Named("scale"), {}}};
  partition.outputs = {{node + "_out", ValueRole::kActivation, 1, false, {}, {}, {}}};
  partition.function = "BackendContext_" + id;
  partition.structure_digest = Named("structure");
  return partition;
}

inline manifest::Context SampleContext(const std::string& partition, const std::string& target) {
  manifest::Context context;
  context.id = partition + "/cpu-attention/" + target;
  context.partition = partition;
  context.backend = "cpu-attention";
  context.target = target;
  context.blob = Named("blob");
  context.entry = "attention";
  context.requirements = {{"arch", 1, {"x86_64"}}, {"cpu.features", 3, {"avx2", "fma"}}};
  context.options = {{"tile", "64"}, {"unroll", "4"}};
  context.compiler = "cpu-attention";
  context.compiler_version = "0.1.0";
  context.proof = {true, Named("cases"), 1e-4, ""};
  return context;
}

inline manifest::Manifest Sample() {
  using manifest::ContentKind;
  manifest::Manifest sample;
  sample.name = "sample";
  sample.sequence = 3;
  sample.producer = "bctx-pack 0.1.0";
  sample.contents = {{ContentKind::kGraph, Named("graph"), 700},
                     {ContentKind::kBody, Named("body"), 200},
                     {ContentKind::kTensor, Named("weight"), 16384},
                     {ContentKind::kBlob, Named("blob"), 4000}};
  sample.variants = {{"default", Named("graph"), Named("meaning")}};
  sample.partitions = {SamplePartition("attention-0", "a"), SamplePartition("attention-1", "b")};
  sample.partitions[1].body = Named("body");
  sample.partitions[1].body_structure_digest = Named("body structure");
  sample.contexts = {SampleContext("attention-0", "x86-64-v3"),
                     SampleContext("attention-1", "x86-64-v3"),
                     SampleContext("attention-1", "aarch64")};
  sample.contexts[1].weights = manifest::WeightsKind::kEmbedded;
  sample.contexts[1].weight_digests = {Named("weight")};
  sample.contexts[2].proof = {false, {}, 0, "no aarch64 host"};
  sample.scopes = {{"cpu", "cpu-attention", "default", {}}};
  for (const auto& context : sample.contexts) sample.scopes[0].contexts.push_back(context.id);
  sample.aliases = {{"past", "present", 2, manifest::AliasMode::kScatterLinear, "index", "BHSD"}};
  return sample;
}

inline Result<manifest::Manifest> Parse(const std::string& bytes) {
  return manifest::Parse(base::AsBytes(bytes), {});
}

// The code and the field of the failure, or "ok".
inline std::string Outcome(const std::string& bytes) {
  const auto parsed = Parse(bytes);
  if (parsed) return "ok";
  return std::string(StatusCodeName(parsed.error().code())) + " " + parsed.error().detail().field;
}

}  // namespace backendctx::test
