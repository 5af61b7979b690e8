// Claiming from a flat graph: the part of a session that works on fronts in the metadata encoding.
//
// ONNX Runtime asks several times, about graphs that it rewrites in between, and does not say which
// graph of the model it asks about. So a graph is recognised by the names of its outputs, every
// answer replaces the one before, and what was not found in the end is a fallback with the reason.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "provider/session.h"

namespace backendctx::ort {
namespace {

constexpr char kFusedPrefix[] = "BackendContextExecutionProvider_";

}  // namespace

Result<ProviderSession::NodeSets> ProviderSession::ClaimRegions(const OrtGraph* graph) {
  if (!plan_->declined.empty()) return NodeSets();
  if (decided_.empty()) decided_ = plan_->selection.decisions;
  BCTX_ASSIGN_OR_RETURN(const FlatGraph flat, FlatGraph::Read(reader_, graph));
  NodeSets claimed;
  std::set<const OrtNode*> taken;
  for (const package::LoadedContext& loaded : plan_->selection.loaded) {
    const auto* outputs = plan_->flat->Outputs(loaded.partition->graph_path);
    if (outputs == nullptr || *outputs != flat.outputs()) continue;
    BCTX_ASSIGN_OR_RETURN(const FlatRegion region, FindRegion(flat, loaded, taken));
    NoteRegion(loaded, region);
    if (!region.lost.empty() || region.nodes.empty()) continue;
    taken.insert(region.nodes.begin(), region.nodes.end());
    claimed.push_back(region.nodes);
  }
  JudgeRegions();
  // Graphs inside others are asked about first: with the outermost everything was.
  const auto* top = plan_->flat->Outputs("");
  if (options_->strict && top != nullptr && *top == flat.outputs()) {
    BCTX_RETURN_IF_ERROR(CheckStrict());
  }
  return claimed;
}

// Without nodes and without a reason: it was fused before.
Result<FlatRegion> ProviderSession::FindRegion(const FlatGraph& flat,
                                               const package::LoadedContext& loaded,
                                               const std::set<const OrtNode*>& taken) {
  const manifest::Partition& partition = *loaded.partition;
  FlatRegion region = flat.Find(partition, [&](const manifest::BoundaryValue& value) {
    return plan_->flat->EqualValues(partition, value);
  });
  if (!region.lost.empty()) return region;
  if (region.nodes.size() == 1) {
    BCTX_ASSIGN_OR_RETURN(const std::string op, reader_.OpType(region.nodes[0]));
    if (op.starts_with(kFusedPrefix)) {
      region.nodes.clear();
      return region;
    }
  }
  if (std::any_of(region.nodes.begin(), region.nodes.end(),
                  [&](const OrtNode* node) { return taken.count(node) != 0; })) {
    region.lost = "ONNX Runtime's rewrites merged it with another partition";
    return region;
  }
  const CallPorts ports{region.inputs, region.outputs};
  BCTX_ASSIGN_OR_RETURN(const std::string stale,
                        WhyStale(reader_, ports, partition, *loaded.context, *plan_->weights));
  if (!stale.empty()) {
    region.lost = stale;
    return region;
  }
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
    const auto lost = lost_.find(decision.partition);
    if (lost != lost_.end() && lost->second.empty()) continue;
    decision.outcome = Outcome::kRejected;
    decision.reason = "rewritten";
    decision.detail = lost != lost_.end()
                          ? lost->second
                          : "ONNX Runtime has not asked about the graph that it is in";
  }
  for (const Fallback& fallback : Fallbacks(plan_->selection.decisions)) {
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
