// bctx-inspect show --json: schemas/show.schema.json.

#include <fmt/format.h>

#include "inspector/plain.h"
#include "inspector/reading.h"
#include "inspector/show.h"

namespace backendctx::tools {
namespace {

const char* WeightsName(manifest::WeightsKind kind) {
  switch (kind) {
    case manifest::WeightsKind::kNone:
      return "inputs";
    case manifest::WeightsKind::kEmbedded:
      return "embedded";
    case manifest::WeightsKind::kInputs:
      return "inputs";
    case manifest::WeightsKind::kRefit:
      return "refit";
    case manifest::WeightsKind::kOffset:
      return "offset";
  }
  return "unknown";
}

const char* AliasModeName(manifest::AliasMode mode) {
  switch (mode) {
    case manifest::AliasMode::kAppend:
      return "append";
    case manifest::AliasMode::kScatterLinear:
      return "scatter-linear";
    case manifest::AliasMode::kScatterCircular:
      return "scatter-circular";
  }
  return "unknown";
}

class Builder {
 public:
  explicit Builder(const Package& package)
      : package_(package), decisions_(DecisionsByContext(package, HostFor(package), Policy{})) {
    for (const StoredContent& content : package.contents()) stored_[content.digest] = content;
  }

  Json Scopes() const {
    Json list = Json::array();
    for (const manifest::Scope& scope : package_.manifest().scopes) {
      Json partitions = Json::array();
      for (const manifest::Partition& partition : package_.manifest().partitions) {
        Json contexts = ContextsOf(scope, partition.id);
        if (!contexts.empty()) partitions.push_back(PartitionJson(partition, std::move(contexts)));
      }
      list.push_back({{"name", scope.name},
                      {"backend", scope.backend},
                      {"variant", scope.variant},
                      {"partitions", std::move(partitions)}});
    }
    return list;
  }

 private:
  static Json Names(const std::vector<manifest::BoundaryValue>& values) {
    Json list = Json::array();
    for (const manifest::BoundaryValue& value : values) list.push_back(value.name);
    return list;
  }

  Json PartitionJson(const manifest::Partition& partition, Json contexts) const {
    return {{"id", partition.id},
            {"nodes", partition.nodes.size()},
            {"inputs", Names(partition.inputs)},
            {"outputs", Names(partition.outputs)},
            {"structure_digest", partition.structure_digest.Hex()},
            {"graph_path", partition.graph_path},
            {"contexts", std::move(contexts)}};
  }

  Json ContextsOf(const manifest::Scope& scope, const std::string& partition) const {
    Json list = Json::array();
    for (const std::string& id : scope.contexts) {
      const manifest::Context* context = package_.manifest().FindContext(id);
      if (context != nullptr && context->partition == partition)
        list.push_back(ContextJson(*context));
    }
    return list;
  }

  Json ContextJson(const manifest::Context& context) const {
    const auto stored = stored_.find(context.blob);
    const bool present = stored != stored_.end() && stored->second.storage != "absent";
    const Decision& decision = decisions_.at(context.id);
    Json json;
    json["id"] = context.id;
    json["target"] = context.target;
    json["blob"] = context.blob.Hex();
    json["entry"] = context.entry;
    json["offset"] = present ? Json(stored->second.offset) : Json();
    json["bytes"] = stored == stored_.end() ? 0 : stored->second.size;
    json["stored_bytes"] = present ? stored->second.stored_size : 0;
    json["weights"] = WeightsName(context.weights);
    json["compiler"] = fmt::format("{} {}", context.compiler, context.compiler_version);
    json["options"] = OptionsJson(context.options);
    json["requirements"] = RequirementsJson(context.requirements);
    json["proof"] = ProofName(context.proof);
    json["proof_reason"] = context.proof.reason;
    json["proof_tolerance"] = context.proof.tolerance;
    json["state"] = present ? "present" : "absent";
    json["verdict"] = VerdictName(decision.verdict);
    json["outcome"] = OutcomeName(decision.outcome);
    json["reason"] = decision.reason;
    json["detail"] = decision.detail;
    return json;
  }

  const Package& package_;
  std::map<std::string, Decision> decisions_;
  std::map<Digest, StoredContent> stored_;
};

Json AliasesJson(const manifest::Manifest& m) {
  Json list = Json::array();
  for (const manifest::Alias& alias : m.aliases) {
    list.push_back({{"input", alias.input},
                    {"output", alias.output},
                    {"axis", alias.axis},
                    {"mode", AliasModeName(alias.mode)},
                    {"index", alias.index_input},
                    {"layout", alias.layout}});
  }
  return list;
}

Json SignaturesJson(const Trust& trust) {
  Json list = Json::array();
  for (const Signature& signature : trust.signatures) {
    const bool trusted = signature.state == SignatureState::kTrusted;
    list.push_back({{"key", signature.key}, {"state", trusted ? "trusted" : "unknown-key"}});
  }
  return list;
}

// Fills `variants` and `weights`: both come from the stored graphs.
Status AddWeights(const Package& package, Json* json) {
  WeightsSummary sum;
  Json variants = Json::array();
  for (const manifest::Variant& variant : package.manifest().variants) {
    BCTX_ASSIGN_OR_RETURN(const WeightsSummary weights, package.Weights(variant.name));
    variants.push_back({{"name", variant.name},
                        {"graph_digest", variant.graph_digest.Hex()},
                        {"tensors", weights.tensors},
                        {"bytes", weights.logical_bytes}});
    sum.tensors += weights.tensors;
    sum.logical_bytes += weights.logical_bytes;
    sum.stored_bytes += weights.stored_bytes;
    sum.saved_equal += weights.saved_equal;
  }
  (*json)["variants"] = std::move(variants);
  (*json)["weights"] = {
      {"tensors", sum.tensors},
      {"logical_bytes", sum.logical_bytes},
      {"stored_bytes", sum.stored_bytes},
      {"by_level",
       {{"equal", sum.saved_equal}, {"view", 0}, {"recipe", 0}, {"residual", 0}, {"chunk", 0}}}};
  return OkStatus();
}

}  // namespace

Result<Json> ShowJson(const Package& package, const std::string& file) {
  const manifest::Manifest& m = package.manifest();
  const bool whole = package.has_container();
  Json json = NewReport();
  json["file"] = file;
  json["container"] = whole ? Json(package.container_path()) : Json();
  json["format_version"] =
      whole ? Json(fmt::format("{}.{}", m.format_major, m.format_minor)) : Json();
  json["name"] = m.name;
  json["sequence"] = m.sequence;
  json["producer"] = m.producer;
  json["encoding"] = package.encoding();
  json["graph_digest"] = m.variants.empty() ? Json() : Json(m.variants.front().graph_digest.Hex());
  json["opset"] = package.opset();
  json["ir_version"] = package.ir_version();
  BCTX_RETURN_IF_ERROR(AddWeights(package, &json));
  json["scopes"] = whole ? Builder(package).Scopes() : Json::array();
  json["aliases"] = AliasesJson(m);
  json["signatures"] = SignaturesJson(package.trust());
  json["threshold"] = 1;
  json["contents_checked"] = false;  // verify does that
  json["stale"] = Json::array();
  for (const Binding& binding : package.bindings()) {
    if (binding.stale.empty()) continue;
    json["stale"].push_back({{"partition", binding.partition}, {"reason", binding.stale}});
  }
  BCTX_ASSIGN_OR_RETURN(const ModelReferences references, ReferencesOf(package));
  json["ep_contexts"] = EpContextsJson(references);
  json["ep_compatibility"] = EpCompatibilityJson(references);
  return json;
}

}  // namespace backendctx::tools
