#include "provider/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/os/file.h"
#include "model/front.h"

namespace backendctx::ort {
namespace {

constexpr char kPartition[] = "partition";  // attribute of a call

// Position of each name among ports; -1 for absent and unknown ones.
std::vector<int> Positions(const std::vector<Port>& wanted, const std::vector<Port>& ports) {
  std::map<std::string, int> at;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (!ports[i].name.empty()) at.emplace(ports[i].name, static_cast<int>(i));
  }
  std::vector<int> positions;
  for (const Port& port : wanted) {
    const auto it = !port.name.empty() ? at.find(port.name) : at.end();
    positions.push_back(it != at.end() ? it->second : -1);
  }
  return positions;
}

}  // namespace

ProviderSession::ProviderSession(const Apis& apis, Result<ProviderOptions> options,
                                 std::string report, const OrtLogger* logger,
                                 std::shared_ptr<Handoff> handoff)
    : apis_(apis),
      reader_(*apis.ort),
      options_(std::move(options)),
      report_(std::move(report)),
      logger_(logger),
      handoff_(std::move(handoff)) {
  observed_.runtime = apis.version;
}

// Reads the package and loads what is chosen, when the first graph is seen.
Status ProviderSession::Prepare(const OrtGraph* graph) {
  if (handoff_ && handoff_->plan) {
    observed_.model = handoff_->model;
    BCTX_RETURN_IF_ERROR(options_.status());
    plan_ = std::move(*handoff_->plan);
    decided_ = plan_->selection.decisions;
    return OkStatus();
  }
  ModelFacts model;
  BCTX_ASSIGN_OR_RETURN(model.path, reader_.ModelPath(graph));
  observed_.model = model.path;
  BCTX_RETURN_IF_ERROR(options_.status());
  BCTX_ASSIGN_OR_RETURN(model.tag, reader_.Property(graph, model::kFrontProperty));
  BCTX_ASSIGN_OR_RETURN(plan_, MakePlan(*options_, model));
  decided_ = plan_->selection.decisions;
  if (!options_->strict || !plan_->package) return OkStatus();
  return CheckStrict();
}

Status ProviderSession::CheckStrict() const {
  const std::vector<Fallback> fallbacks = Fallbacks(plan_->selection.decisions);
  std::string why = Summarise(fallbacks);
  if (!plan_->declined.empty()) why = plan_->declined;
  if (why.empty()) return OkStatus();
  return Status(StatusCode::kIncompatible,
                fmt::format("strict: partitions would run interpreted: {}", why));
}

std::vector<std::vector<const OrtNode*>> ProviderSession::Claim(const OrtGraph* graph) {
  if (!prepared_) {
    prepared_ = true;
    fatal_ = Prepare(graph);
  }
  NodeSets claimed;
  if (fatal_.ok()) {
    Result<NodeSets> found = ClaimCalls(graph);
    if (found && plan_->flat) {
      const Status regions = ClaimRegions(graph, &*found);
      if (!regions.ok()) found = regions;
    }
    if (found) {
      claimed = std::move(*found);
    } else {
      fatal_ = found.status();
    }
  }
  if (!fatal_.ok()) {
    observed_.error = fatal_.message();
    Result<NodeSets> any = AnyNode(graph);
    claimed = any ? std::move(*any) : NodeSets();
  }
  WriteReport();
  Tell();
  if (fatal_.ok() && plan_ && plan_->selection.loaded.empty()) Finish();
  return claimed;
}

Result<ProviderSession::NodeSets> ProviderSession::ClaimCalls(const OrtGraph* graph) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<const OrtNode*> nodes, reader_.Nodes(graph));
  NodeSets claimed;
  for (const OrtNode* node : nodes) {
    BCTX_ASSIGN_OR_RETURN(const std::string domain, reader_.Domain(node));
    if (domain != model::kDomain) continue;
    BCTX_ASSIGN_OR_RETURN(const bool is_claimed, Consider(node));
    waits_ |= !is_claimed;
    if (is_claimed) claimed.push_back({node});
  }
  return claimed;
}

// One call: claimed, or noted with the reason.
Result<bool> ProviderSession::Consider(const OrtNode* node) {
  BCTX_ASSIGN_OR_RETURN(const auto attribute, reader_.Text(node, kPartition));
  const std::string partition = attribute.value_or("");
  BCTX_ASSIGN_OR_RETURN(const std::string why, WhyNot(node, partition));
  Note(node, partition, why);
  if (!why.empty() && options_->strict) BCTX_RETURN_IF_ERROR(CheckStrict());
  return why.empty();
}

// Why a call runs its body; empty: it can be claimed.
Result<std::string> ProviderSession::WhyNot(const OrtNode* node, const std::string& partition) {
  if (!plan_->declined.empty()) return plan_->declined;
  const package::LoadedContext* const loaded = plan_->Find(partition);
  if (loaded == nullptr) {
    for (const Fallback& fallback : Fallbacks(plan_->selection.decisions)) {
      if (fallback.partition != partition) continue;
      return fallback.reason + ": " + fallback.detail;
    }
    return std::string("no context was compiled for it, or one of a larger partition was chosen");
  }
  BCTX_ASSIGN_OR_RETURN(const std::string function, reader_.OpType(node));
  std::string why;
  if (function != loaded->partition->function) {
    why = fmt::format("the call is of function {}, expected {}", function,
                      loaded->partition->function);
  } else {
    CallPorts ports;
    BCTX_ASSIGN_OR_RETURN(ports.inputs, reader_.Inputs(node));
    // An embedded container is passed last and is no operand of the code.
    if (plan_->package->is_embedded() && !ports.inputs.empty()) ports.inputs.pop_back();
    BCTX_ASSIGN_OR_RETURN(ports.outputs, reader_.Outputs(node));
    BCTX_ASSIGN_OR_RETURN(
        why, WhyStale(reader_, ports, *loaded->partition, *loaded->context, *plan_->weights));
  }
  if (why.empty()) return why;
  MarkStale(partition, why);
  return "stale: " + why;
}

// The front's body was what was compiled, but the call as ONNX Runtime has it is another.
void ProviderSession::MarkStale(const std::string& partition, const std::string& why) {
  for (auto* decisions : {&plan_->selection.decisions, &decided_}) {
    for (Decision& decision : *decisions) {
      if (decision.partition != partition || decision.outcome != Outcome::kChosen) continue;
      decision.outcome = Outcome::kStale;
      decision.reason = "stale";
      decision.detail = why;
    }
  }
}

void ProviderSession::Note(const OrtNode* node, const std::string& partition,
                           const std::string& why) {
  ObservedCall call;
  const Result<std::string> name = reader_.Name(node);
  call.node = name ? *name : "";
  call.partition = partition;
  call.reason = why;
  if (why.empty()) call.context = plan_->Find(partition)->context->id;
  const auto [it, is_new] =
      call_index_.emplace(call.node + '\n' + partition, observed_.calls.size());
  if (is_new) {
    observed_.calls.push_back(std::move(call));
  } else {
    observed_.calls[it->second] = std::move(call);
  }
}

// A node whose Compile will fail: one of ours, else the first without subgraphs, else the first.
Result<ProviderSession::NodeSets> ProviderSession::AnyNode(const OrtGraph* graph) const {
  BCTX_ASSIGN_OR_RETURN(const std::vector<const OrtNode*> nodes, reader_.Nodes(graph));
  const OrtNode* chosen = nullptr;
  for (const OrtNode* node : nodes) {
    BCTX_ASSIGN_OR_RETURN(const std::string domain, reader_.Domain(node));
    BCTX_ASSIGN_OR_RETURN(const size_t subgraphs, reader_.SubgraphCount(node));
    if (domain == model::kDomain) return NodeSets{{node}};
    if (chosen == nullptr && subgraphs == 0) chosen = node;
  }
  if (chosen == nullptr && !nodes.empty()) chosen = nodes.front();
  return chosen != nullptr ? NodeSets{{chosen}} : NodeSets();
}

Result<std::unique_ptr<KernelNode>> ProviderSession::Compile(const OrtGraph* graph,
                                                             const OrtNode* fused) {
  BCTX_RETURN_IF_ERROR(fatal_);
  BCTX_ASSIGN_OR_RETURN(const std::vector<const OrtNode*> nodes, reader_.Nodes(graph));
  BCTX_ASSIGN_OR_RETURN(const std::string domain,
                        nodes.size() == 1 ? reader_.Domain(nodes[0]) : Result<std::string>(""));
  if (plan_ && plan_->flat && domain != model::kDomain) return CompileRegion(nodes, fused);
  if (nodes.size() != 1 || !plan_) {
    return Status(StatusCode::kInternal,
                  fmt::format("asked to compile {} nodes at once, claimed one", nodes.size()));
  }
  BCTX_ASSIGN_OR_RETURN(const auto partition, reader_.Text(nodes[0], kPartition));
  const package::LoadedContext* const loaded = plan_->Find(partition.value_or(""));
  if (loaded == nullptr) {
    return Status(StatusCode::kInternal, "asked to compile a call that was not claimed");
  }
  BCTX_ASSIGN_OR_RETURN(std::string name, reader_.Name(nodes[0]));
  CallPorts ports;
  BCTX_ASSIGN_OR_RETURN(ports.inputs, reader_.Inputs(nodes[0]));
  BCTX_ASSIGN_OR_RETURN(ports.outputs, reader_.Outputs(nodes[0]));
  if (plan_->package->is_embedded() && !ports.inputs.empty()) ports.inputs.pop_back();
  return MakeKernel(*loaded, std::move(name), ports, fused);
}

Result<std::unique_ptr<KernelNode>> ProviderSession::MakeKernel(
    const package::LoadedContext& loaded, std::string name, const CallPorts& ports,
    const OrtNode* fused) {
  // A fused node has each value once and leaves out absent inputs and outputs that nobody reads.
  BCTX_ASSIGN_OR_RETURN(const std::vector<Port> fused_inputs, reader_.Inputs(fused));
  BCTX_ASSIGN_OR_RETURN(const std::vector<Port> fused_outputs, reader_.Outputs(fused));
  PortMap map;
  map.inputs = Positions(ports.inputs, fused_inputs);
  map.outputs = Positions(ports.outputs, fused_outputs);
  for (const manifest::BoundaryValue& output : loaded.partition->outputs) {
    map.output_types.push_back(output.element_type);
  }
  return std::make_unique<KernelNode>(*apis_.ort, std::move(name), loaded.kernel, std::move(map),
                                      [this] { Finish(); });
}

// Compiled partitions whose context was never run beside its body.
size_t ProviderSession::CountUnproved() const {
  std::set<std::string> unproved;
  for (const ObservedCall& call : observed_.calls) {
    if (call.context.empty()) continue;
    const manifest::Context* const context = plan_->package->manifest().FindContext(call.context);
    if (!context->proof.passed) unproved.insert(call.partition);
  }
  return unproved.size();
}

void ProviderSession::Finish() {
  if (!plan_ || (!plan_->package && observed_.calls.empty())) return;
  if (finished_.exchange(true)) return;  // runs may start on several threads at once
  const std::vector<Fallback> fallbacks = Fallbacks(plan_->selection.decisions);
  std::set<std::string> compiled, met;
  for (const ObservedCall& call : observed_.calls) {
    met.insert(call.partition);
    if (!call.context.empty()) compiled.insert(call.partition);
  }
  const std::string& declined = plan_->declined;
  const std::string why = declined.empty() ? Summarise(fallbacks) : declined;
  std::string text =
      fmt::format("BackendContext: {} compiled, {} interpreted", compiled.size(),
                  declined.empty() ? fallbacks.size() : std::max(met.size(), fallbacks.size()));
  if (!why.empty()) text += ": " + why;
  if (const size_t unproved = CountUnproved(); unproved != 0) {
    text += fmt::format("; {} of the compiled unproved", unproved);
  }
  if (!plan_->note.empty()) text += "; " + plan_->note;
  Log(why.empty() ? ORT_LOGGING_LEVEL_INFO : ORT_LOGGING_LEVEL_WARNING, text);
}

// To the session of ours, if there is one.
void ProviderSession::Tell() {
  if (!handoff_) return;
  handoff_->fatal = fatal_;
  handoff_->observed = observed_;
  if (plan_) handoff_->decisions = plan_->selection.decisions;
  handoff_->json = ReportJson(plan_ ? &*plan_ : nullptr, observed_);
}

// Written whenever it has changed: ONNX Runtime does not tell when it has placed all nodes.
void ProviderSession::WriteReport() {
  if (report_.empty()) return;
  std::string json = ReportJson(plan_ ? &*plan_ : nullptr, observed_);
  if (json == written_) return;
  for (const std::string& input :
       {observed_.model, plan_ && plan_->package ? plan_->package->container_path() : ""}) {
    std::error_code none;
    if (!std::filesystem::equivalent(report_, input, none)) continue;
    if (fatal_.ok()) {
      fatal_ =
          Status(StatusCode::kInvalidArgument,
                 fmt::format("provider option report: '{}' is a part of the package", report_));
    }
    return;
  }
  const Status status = os::WriteFile(report_, json, os::AtomicFile::kReplace);
  written_ = std::move(json);
  if (status.ok()) return;
  if (fatal_.ok()) fatal_ = status.WithContext("provider option report");
}

void ProviderSession::Log(OrtLoggingLevel level, const std::string& text) const {
  if (logger_ == nullptr) return;
  (void)ToStatus(*apis_.ort, apis_.ort->Logger_LogMessage(logger_, level, text.c_str(),
                                                          "backendctx", 0, "session"));
}

}  // namespace backendctx::ort
