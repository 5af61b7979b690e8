#include "provider/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace backendctx::ort {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

Json ToJson(const Decision& decision) {
  return {{"partition", decision.partition},
          {"context", decision.context},
          {"verdict", VerdictName(decision.verdict)},
          {"outcome", OutcomeName(decision.outcome)},
          {"reason", decision.reason},
          {"detail", decision.detail}};
}

Json ToJson(const ObservedCall& call) {
  Json json = {{"node", call.node}, {"partition", call.partition}};
  json["ran"] = call.context.empty() ? "interpreted" : "compiled";
  if (!call.context.empty()) json["context"] = call.context;
  if (!call.reason.empty()) json["reason"] = call.reason;
  return json;
}

Json ToJson(const Observed& observed, const Plan* plan) {
  const auto compiled =
      std::count_if(observed.calls.begin(), observed.calls.end(),
                    [](const ObservedCall& call) { return !call.context.empty(); });
  Json json = {{"runtime", "ONNX Runtime " + observed.runtime}};
  json["compiled"] = compiled;
  json["interpreted"] = static_cast<std::ptrdiff_t>(observed.calls.size()) - compiled;
  json["calls"] = Json::array();
  for (const ObservedCall& call : observed.calls) json["calls"].push_back(ToJson(call));
  if (plan != nullptr && !plan->declined.empty()) json["declined"] = plan->declined;
  if (plan != nullptr && !plan->note.empty()) json["note"] = plan->note;
  if (plan != nullptr && !plan->left_out_plugins.empty()) {
    json["plugins_left_out"] = plan->left_out_plugins;
  }
  if (!observed.error.empty()) json["error"] = observed.error;
  return json;
}

}  // namespace

std::string ReportJson(const Plan* plan, const Observed& observed) {
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["file"] = observed.model;
  document["profile"] = Json::object();
  document["policy"] = Json::object();
  document["decisions"] = Json::array();
  if (plan != nullptr) {
    document["profile"] = Json::parse(plan->profile.ToJson());
    document["policy"] = {{"backends", plan->policy.backends},
                          {"require_proof", plan->policy.require_proof},
                          {"assume_stored", plan->policy.assume_stored}};
    for (const Decision& decision : plan->selection.decisions) {
      document["decisions"].push_back(ToJson(decision));
    }
  }
  document["observed"] = ToJson(observed, plan);
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace backendctx::ort
