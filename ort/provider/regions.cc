// Claiming from a flat graph: the part of a session that works on partitions that are no calls, in
// the metadata encoding all of them, in the function encoding those that cross another one.
//
// ONNX Runtime asks several times, about graphs that it rewrites in between, and does not say which
// graph of the model it asks about. So a graph is recognised by the names of its outputs, every
// answer replaces the one before, and what was not found in the end is a fallback with the reason.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "model/front.h"
#include "provider/session.h"

namespace backendctx::ort {
namespace {

constexpr char kFusedPrefix[] = "BackendContextExecutionProvider_";

}  // namespace

Status ProviderSession::ClaimRegions(const OrtGraph* graph, NodeSets* claimed) {
  if (!plan_->declined.empty()) return OkStatus();
  BCTX_ASSIGN_OR_RETURN(const FlatGraph flat, FlatGraph::Read(reader_, graph));
  Taken taken;
  for (const auto& nodes : *claimed) taken.nodes.insert(nodes.begin(), nodes.end());
  for (const package::LoadedContext& loaded : plan_->selection.loaded) {
    if (plan_->flat->HasCall(loaded.partition->id)) continue;
    if (!IsGraph(flat, loaded.partition->graph_path)) continue;
    BCTX_ASSIGN_OR_RETURN(FlatRegion region, FindRegion(flat, loaded, taken));
    NoteRegion(loaded, region);
    if (!region.lost.empty() || region.nodes.empty()) continue;
    taken.nodes.insert(region.nodes.begin(), region.nodes.end());
    taken.places.push_back(std::move(region.places));
    claimed->push_back(std::move(region.nodes));
  }
  JudgeRegions();
  // Graphs inside others are asked about first: with the outermost everything was, unless bodies of
  // functions are still to come.
  if (!IsGraph(flat, "")) return OkStatus();
  const bool is_last = !waits_;
  waits_ = false;
  return options_->strict && is_last ? CheckStrict() : OkStatus();
}

// Graphs are known by their outputs; in the bodies of functions that were inlined these have a
// prefix.
bool ProviderSession::IsGraph(const FlatGraph& flat, const std::string& path) const {
  const std::vector<std::string>* outputs = plan_->flat->Outputs(path);
  if (outputs == nullptr) return false;
  const auto same = [this](const std::string& wanted, const std::string& found) {
    if (wanted == found) return true;
    const auto& prefixes = plan_->flat->prefixes();
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return found == prefix + wanted; });
  };
  return std::equal(outputs->begin(), outputs->end(), flat.outputs().begin(), flat.outputs().end(),
                    same);
}

std::vector<std::string> ProviderSession::OtherNamesOf(const manifest::Partition& partition,
                                                       const manifest::BoundaryValue& value) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    for (const std::string& prefix : plan_->flat->prefixes()) names.push_back(prefix + name);
  };
  add(value.name);
  for (const std::string& equal : plan_->flat->EqualValues(partition, value)) {
    names.push_back(equal);
    add(equal);
  }
  return names;
}

// Without nodes and without a reason: it was fused before.
Result<FlatRegion> ProviderSession::FindRegion(const FlatGraph& flat,
                                               const package::LoadedContext& loaded,
                                               const Taken& taken) {
  const manifest::Partition& partition = *loaded.partition;
  FlatRegion region = flat.Find(partition, [&](const manifest::BoundaryValue& value) {
    return OtherNamesOf(partition, value);
  });
  if (!region.lost.empty()) return region;
  if (region.nodes.size() == 1) {
    BCTX_ASSIGN_OR_RETURN(const std::string op, reader_.OpType(region.nodes[0]));
    if (op.starts_with(kFusedPrefix)) {
      region.nodes.clear();
      return region;
    }
  }
  BCTX_ASSIGN_OR_RETURN(region.lost, WhyNotRegion(flat, region, loaded, taken));
  if (!region.lost.empty()) return region;
  BCTX_ASSIGN_OR_RETURN(const std::string identity, FlatGraph::Identify(reader_, region.nodes));
  ClaimedRegion claim{&loaded, {}, {}};
  for (const Port& port : region.inputs) claim.inputs.push_back(port.name);
  for (const Port& port : region.outputs) claim.outputs.push_back(port.name);
  const auto [known, is_new] = claimed_regions_.emplace(identity, claim);
  // The same names in two branches: harmless where both compute the same.
  if (!is_new && known->second.loaded->partition->structure_digest != partition.structure_digest) {
    region.lost = "another graph of the model has the same names around other operators";
  }
  if (!is_new && region.lost.empty()) known->second = claim;
  return region;
}

// Why nodes that were found cannot be claimed; empty: they can.
Result<std::string> ProviderSession::WhyNotRegion(const FlatGraph& flat, const FlatRegion& region,
                                                  const package::LoadedContext& loaded,
                                                  const Taken& taken) {
  for (const OrtNode* node : region.nodes) {
    if (taken.nodes.count(node)) {
      return std::string("ONNX Runtime's rewrites merged it with another partition");
    }
    BCTX_ASSIGN_OR_RETURN(const std::string domain, reader_.Domain(node));
    if (domain == model::kDomain) {
      return std::string("a part of it is in a function that ONNX Runtime has not inlined");
    }
  }
  if (flat.WaitsFor(region, taken.places)) {
    return std::string("it waits for another partition that was claimed, which waits for it");
  }
  const CallPorts ports{region.inputs, region.outputs};
  return WhyStale(reader_, ports, *loaded.partition, *loaded.context, *plan_->weights);
}

void ProviderSession::NoteRegion(const package::LoadedContext& loaded, const FlatRegion& region) {
  const manifest::Partition& partition = *loaded.partition;
  lost_[partition.id] = region.lost;
  if (region.lost.empty()) Observe(partition.id, loaded.context->id, "");
}

// A region is called by what it makes.
void ProviderSession::Observe(const std::string& partition, const std::string& context,
                              const std::string& reason) {
  const auto* described = plan_->package->manifest().FindPartition(partition);
  ObservedCall call;
  if (described != nullptr) call.node = described->outputs.front().name;
  call.partition = partition;
  call.context = context;
  call.reason = reason;
  const auto [it, is_new] = call_index_.emplace(partition, observed_.calls.size());
  if (is_new) {
    observed_.calls.push_back(std::move(call));
  } else {
    observed_.calls[it->second] = std::move(call);
  }
}

// What was decided before ONNX Runtime was asked holds for what was found since.
void ProviderSession::JudgeRegions() {
  plan_->selection.decisions = decided_;
  for (Decision& decision : plan_->selection.decisions) {
    if (decision.outcome != Outcome::kChosen) continue;
    if (plan_->flat->HasCall(decision.partition)) continue;
    const auto lost = lost_.find(decision.partition);
    if (lost != lost_.end() && lost->second.empty()) continue;
    decision.outcome = Outcome::kRejected;
    decision.reason = "rewritten";
    decision.detail = lost != lost_.end()
                          ? lost->second
                          : "ONNX Runtime has not asked about the graph that it is in";
  }
  for (const Fallback& fallback : Fallbacks(plan_->selection.decisions)) {
    if (plan_->flat->HasCall(fallback.partition)) continue;  // noted where the call was met
    Observe(fallback.partition, "", fallback.reason + ": " + fallback.detail);
  }
}

Result<std::unique_ptr<KernelNode>> ProviderSession::CompileRegion(
    const std::vector<const OrtNode*>& nodes, const OrtNode* fused) {
  BCTX_ASSIGN_OR_RETURN(const std::string identity, FlatGraph::Identify(reader_, nodes));
  const auto region = claimed_regions_.find(identity);
  if (region == claimed_regions_.end()) {
    return Status(StatusCode::kInternal, "asked to compile nodes that were not claimed");
  }
  CallPorts ports;
  for (const std::string& name : region->second.inputs) ports.inputs.push_back({nullptr, name});
  for (const std::string& name : region->second.outputs) ports.outputs.push_back({nullptr, name});
  const package::LoadedContext& loaded = *region->second.loaded;
  return MakeKernel(loaded, "partition " + loaded.partition->id, ports, fused);
}

}  // namespace backendctx::ort
