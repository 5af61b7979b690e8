#include "backendctx/session.h"

#include <fmt/format.h>

#include <filesystem>

#include "package/lower.h"
#include "proof/proof_file.h"
#include "provider/handoff.h"
#include "runtime/session_parts.h"
#include "session/host.h"
#include "session/lowering.h"

namespace backendctx {

// Members go in the reverse order: ONNX Runtime's objects before its environment.
struct Session::Core {
  std::shared_ptr<const ort::Host> host;
  ort::Owned<OrtMemoryInfo> memory;
  ort::Session session;
  std::optional<Package> package;
  std::vector<ValueInfo> inputs, outputs;
  SessionReport report;

  static Result<std::shared_ptr<const Core>> Make(const ort::FrontSource& source,
                                                  const SessionOptions& options);
  Result<ort::LoweredPlan> Decide(const ort::FrontSource& source, const SessionOptions& options);
  Status Start(const ort::FrontSource& source, const SessionOptions& options,
               const std::string& ticket);
  Status ReadModel();
  Result<ort::Value> ToValue(const std::string& name, const TensorView& tensor) const;
  // `made` has the values of buffers, or null where ONNX Runtime is to make one.
  Status Run(const std::vector<InputTensor>& given, const std::vector<std::string>& names,
             std::vector<ort::Value>* made) const;
};

namespace {

constexpr char kFolderEntry[] = "session.model_external_initializers_file_folder_path";

Result<ort::ProviderOptions> ToProvider(const SessionOptions& options) {
  if (options.policy.assume_stored) {
    return Status(StatusCode::kInvalidArgument,
                  "policy: found assume_stored, expected a policy for what is there");
  }
  ort::ProviderOptions made;
  made.backends = options.policy.backends;
  made.require_proof = options.policy.require_proof;
  made.full_integrity = options.integrity == Integrity::kFull;
  made.strict = options.strict;
  for (const auto& [backend, settings] : options.policy.load_options) {
    if (!settings.empty()) made.backend_options[backend] = settings;
  }
  return made;
}

Result<OpenOptions> Keys(const SessionOptions& options) {
  OpenOptions open;
  if (options.trust_folders) {
    BCTX_ASSIGN_OR_RETURN(open.trusted_keys, LoadTrustedKeys(ort::TrustFolders()));
  }
  open.trusted_keys.insert(open.trusted_keys.end(), options.trusted_keys.begin(),
                           options.trusted_keys.end());
  return open;
}

// Names every partition that has code and would run interpreted.
Status CheckStrict(const std::vector<Decision>& decisions, const std::string& declined) {
  if (!declined.empty()) {
    return Status(StatusCode::kIncompatible,
                  fmt::format("strict: the model would run interpreted: {}", declined));
  }
  const std::vector<ort::Fallback> fallbacks = ort::Fallbacks(decisions);
  if (fallbacks.empty()) return OkStatus();
  std::string text;
  bool is_trust = true;
  for (const ort::Fallback& fallback : fallbacks) {
    text += fmt::format("{}partition {}: {}: {}", text.empty() ? "" : "; ", fallback.partition,
                        fallback.reason, fallback.detail);
    is_trust &= fallback.reason == "untrusted";
  }
  return Status(is_trust ? StatusCode::kUntrusted : StatusCode::kIncompatible,
                "strict: would run interpreted: " + text,
                {.field = "partition",
                 .found = fallbacks.front().partition,
                 .expected = "code that runs on this machine"});
}

Status CheckView(const std::string& name, const TensorView& tensor) {
  const auto bytes =
      proof::TensorBytes(tensor.element_type, tensor.dims.data(), tensor.dims.size());
  if (!bytes) {
    return Status(StatusCode::kUnimplemented,
                  fmt::format("'{}': found element type {} or a negative dimension, expected a "
                              "dense tensor of whole bytes",
                              name, tensor.element_type));
  }
  if (*bytes == tensor.size && (tensor.size == 0 || tensor.data != nullptr)) return OkStatus();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("'{}': found {} bytes, expected {} for its type and shape", name,
                            tensor.data == nullptr ? 0 : tensor.size, *bytes));
}

void Describe(const ort::Handoff& handoff, SessionReport* report) {
  report->decisions = handoff.decisions;
  report->json = handoff.json;
  for (const ort::ObservedCall& call : handoff.observed.calls) {
    report->calls.push_back({call.node, call.partition, call.context, call.reason});
    ++(call.context.empty() ? report->interpreted : report->compiled);
  }
}

}  // namespace

Status Session::Core::Start(const ort::FrontSource& source, const SessionOptions& options,
                            const std::string& ticket) {
  const ort::Runtime& runtime = host->runtime();
  const OrtApi& api = runtime.api();
  ort::SessionOptions made;
  BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateSessionOptions, &made));
  if (options.threads > 0) {
    BCTX_RETURN_IF_ERROR(runtime.Check(api.SetIntraOpNumThreads(made.get(), options.threads)));
  }
  std::map<std::string, std::string> entries = options.entries;
  if (!source.is_file) {
    std::error_code error;
    const std::string& folder = source.folder.empty() ? "." : source.folder;
    entries[kFolderEntry] = std::filesystem::absolute(folder, error).string();
  }
  for (const auto& [key, value] : entries) {
    BCTX_RETURN_IF_ERROR(
        runtime.Check(api.AddSessionConfigEntry(made.get(), key.c_str(), value.c_str())));
  }
  BCTX_RETURN_IF_ERROR(
      AppendProvider(runtime, host->env(), {{ort::kTicketOption, ticket}}, made.get()));
  const OrtEnv* const env = host->env();
  const OrtSessionOptions* const chosen = made.get();
  if (source.is_file) {
    return runtime.Make(api.CreateSession, &session, env, source.path.c_str(), chosen);
  }
  const void* const bytes = source.bytes.data();
  return runtime.Make(api.CreateSessionFromArray, &session, env, bytes, source.bytes.size(),
                      chosen);
}

Result<ort::LoweredPlan> Session::Core::Decide(const ort::FrontSource& source,
                                               const SessionOptions& options) {
  BCTX_ASSIGN_OR_RETURN(const ort::ProviderOptions provider, ToProvider(options));
  BCTX_ASSIGN_OR_RETURN(const OpenOptions open, Keys(options));
  const Result<Package> opened = source.is_file
                                     ? Package::Open(source.path, open)
                                     : package::OpenFrontBytes(source.bytes, source.folder, open);
  const bool is_newer = !opened && opened.error().code() == StatusCode::kUnsupportedVersion;
  if (!opened && !is_newer) return opened.status();
  ort::ModelFacts model;
  model.path = source.path;
  model.profile = options.profile;
  if (opened && opened->has_container()) {
    if (!package::TagOf(*opened)) {
      return Status(StatusCode::kInvalidArgument,
                    source.path + ": found a container, expected a front (.onnx)");
    }
    package = model.package = *opened;
  }
  BCTX_ASSIGN_OR_RETURN(ort::Plan plan, MakePlan(provider, model));
  if (is_newer) plan.declined = opened.error().message();
  if (options.lower && package) return LowerPlan(provider, model, std::move(plan), open);
  return ort::LoweredPlan{std::move(plan), {}, {}, {}};
}

Status Session::Core::ReadModel() {
  const ort::Runtime& runtime = host->runtime();
  BCTX_RETURN_IF_ERROR(runtime.Make(runtime.api().CreateCpuMemoryInfo, &memory, OrtDeviceAllocator,
                                    OrtMemTypeDefault));
  BCTX_ASSIGN_OR_RETURN(inputs, ReadDeclared(runtime, session.get(), ort::Side::kInputs));
  BCTX_ASSIGN_OR_RETURN(outputs, ReadDeclared(runtime, session.get(), ort::Side::kOutputs));
  return OkStatus();
}

Result<std::shared_ptr<const Session::Core>> Session::Core::Make(const ort::FrontSource& source,
                                                                 const SessionOptions& options) {
  auto core = std::make_shared<Core>();
  BCTX_ASSIGN_OR_RETURN(ort::LoweredPlan lowered, core->Decide(source, options));
  SessionReport& report = core->report;
  report.declined = lowered.plan.declined;
  report.note = lowered.plan.note;
  report.plugins_left_out = lowered.plan.left_out_plugins;
  report.lowered_for = lowered.scopes;
  report.not_lowered = lowered.declined;
  const auto handoff = std::make_shared<ort::Handoff>();
  handoff->decisions = lowered.plan.selection.decisions;
  handoff->model = source.is_file ? source.path : "(a front in memory)";
  handoff->plan = std::move(lowered.plan);
  if (options.strict) {
    BCTX_RETURN_IF_ERROR(CheckStrict(handoff->decisions, report.declined));
  }
  BCTX_ASSIGN_OR_RETURN(core->host, ort::Host::Acquire(options.runtime));
  report.runtime = core->host->runtime().version();
  const ort::Ticket ticket(handoff);
  Status started;
  if (lowered.front.empty()) {
    started = core->Start(source, options, ticket.text());
  } else {
    const std::filesystem::path container = core->package->container_path();
    started = core->Start({"", std::move(lowered.front), container.parent_path(), false}, options,
                          ticket.text());
  }
  // The provider's own words, where ONNX Runtime only passes them on.
  if (!handoff->fatal.ok()) return handoff->fatal;
  BCTX_RETURN_IF_ERROR(started);
  Describe(*handoff, &report);
  if (options.strict) BCTX_RETURN_IF_ERROR(CheckStrict(report.decisions, ""));
  BCTX_RETURN_IF_ERROR(core->ReadModel());
  return std::shared_ptr<const Core>(std::move(core));
}

Result<ort::Value> Session::Core::ToValue(const std::string& name, const TensorView& tensor) const {
  BCTX_RETURN_IF_ERROR(CheckView(name, tensor));
  return MakeTensor(host->runtime(), memory.get(), tensor);
}

Status Session::Core::Run(const std::vector<InputTensor>& given,
                          const std::vector<std::string>& names,
                          std::vector<ort::Value>* made) const {
  const OrtApi& api = host->runtime().api();
  std::vector<ort::Value> values;
  std::vector<const OrtValue*> pointers;
  std::vector<const char*> input_names, output_names;
  for (const InputTensor& input : given) {
    BCTX_ASSIGN_OR_RETURN(ort::Value value, ToValue(input.name, input.tensor));
    input_names.push_back(input.name.c_str());
    pointers.push_back(value.get());
    values.push_back(std::move(value));
  }
  std::vector<OrtValue*> results;
  for (const std::string& name : names) output_names.push_back(name.c_str());
  for (const ort::Value& value : *made) results.push_back(value.get());
  const Status ran = host->runtime().Check(
      api.Run(session.get(), nullptr, input_names.data(), pointers.data(), pointers.size(),
              output_names.data(), output_names.size(), results.data()));
  for (size_t i = 0; i < results.size(); ++i) {
    if (!(*made)[i]) (*made)[i] = ort::Value(results[i], ort::Releaser{&api});
  }
  return ran;
}

Result<Session> Session::Open(const std::string& path, const SessionOptions& options) {
  BCTX_ASSIGN_OR_RETURN(std::shared_ptr<const Core> core,
                        Core::Make({path, "", "", true}, options));
  return Session(std::move(core));
}

Result<Session> Session::OpenMemory(std::string_view front, const std::string& folder,
                                    const SessionOptions& options) {
  BCTX_ASSIGN_OR_RETURN(std::shared_ptr<const Core> core,
                        Core::Make({"", std::string(front), folder, false}, options));
  return Session(std::move(core));
}

const std::vector<ValueInfo>& Session::inputs() const { return core_->inputs; }
const std::vector<ValueInfo>& Session::outputs() const { return core_->outputs; }
const SessionReport& Session::report() const { return core_->report; }
const Package* Session::package() const { return core_->package ? &*core_->package : nullptr; }

Result<std::vector<OutputTensor>> Session::Run(const std::vector<InputTensor>& inputs) const {
  std::vector<std::string> names;
  for (const ValueInfo& output : core_->outputs) names.push_back(output.name);
  return Run(inputs, names);
}

Result<std::vector<OutputTensor>> Session::Run(const std::vector<InputTensor>& inputs,
                                               const std::vector<std::string>& outputs) const {
  std::vector<ort::Value> made(outputs.size());
  BCTX_RETURN_IF_ERROR(core_->Run(inputs, outputs, &made));
  std::vector<OutputTensor> tensors;
  for (size_t i = 0; i < made.size(); ++i) {
    // Owns the session too: what ONNX Runtime allocated needs it to go.
    struct Owner {
      std::shared_ptr<const Core> core;
      ort::Value value;
    };
    auto owner = std::make_shared<Owner>(Owner{core_, std::move(made[i])});
    OutputTensor tensor{outputs[i], {}, nullptr};
    BCTX_ASSIGN_OR_RETURN(tensor.tensor,
                          ReadTensor(core_->host->runtime(), owner->value.get(), outputs[i]));
    TensorView& view = tensor.tensor;
    const auto bytes = proof::TensorBytes(view.element_type, view.dims.data(), view.dims.size());
    if (!bytes) {
      return Status(StatusCode::kUnimplemented, fmt::format("output '{}' is of element type {}",
                                                            outputs[i], view.element_type));
    }
    view.size = *bytes;
    tensor.owner = std::move(owner);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Status Session::RunInto(const std::vector<InputTensor>& inputs,
                        const std::vector<OutputBuffer>& outputs) const {
  std::vector<std::string> names;
  std::vector<ort::Value> made;
  for (const OutputBuffer& output : outputs) {
    BCTX_ASSIGN_OR_RETURN(
        ort::Value value,
        core_->ToValue(output.name, {output.element_type, output.dims, output.data, output.size}));
    names.push_back(output.name);
    made.push_back(std::move(value));
  }
  return core_->Run(inputs, names, &made);
}

}  // namespace backendctx
