#include "trial/session.h"

namespace backendctx::ort {
namespace {

constexpr char kRegistration[] = "backendctx";

std::vector<const char*> Texts(const std::vector<std::string>& strings) {
  std::vector<const char*> texts;
  for (const std::string& string : strings) texts.push_back(string.c_str());
  return texts;
}

}  // namespace

Status TrialSession::AddProvider(OrtEnv* env, const SessionSettings& settings,
                                 OrtSessionOptions* options) {
  const OrtApi& api = runtime_.api();
  BCTX_RETURN_IF_ERROR(runtime_.Check(
      api.RegisterExecutionProviderLibrary(env, kRegistration, settings.provider.c_str())));
  return AppendProvider(runtime_, env, settings.options, options);
}

Result<TrialSession> TrialSession::Make(const Runtime& runtime, OrtEnv* env,
                                        const SessionSettings& settings) {
  TrialSession made(runtime);
  const OrtApi& api = runtime.api();
  SessionOptions options;
  BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateSessionOptions, &options));
  if (settings.threads > 0) {
    BCTX_RETURN_IF_ERROR(runtime.Check(api.SetIntraOpNumThreads(options.get(), settings.threads)));
  }
  if (!settings.provider.empty()) {
    BCTX_RETURN_IF_ERROR(made.AddProvider(env, settings, options.get()));
  }
  const OrtEnv* const owner = env;
  const char* const path = settings.model.c_str();
  const OrtSessionOptions* const chosen = options.get();
  BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateSession, &made.session_, owner, path, chosen));
  BCTX_RETURN_IF_ERROR(
      runtime.Make(api.CreateCpuMemoryInfo, &made.memory_, OrtDeviceAllocator, OrtMemTypeDefault));
  BCTX_ASSIGN_OR_RETURN(made.inputs_, ReadDeclared(runtime, made.session_.get(), Side::kInputs));
  BCTX_ASSIGN_OR_RETURN(const std::vector<ValueInfo> outputs,
                        ReadDeclared(runtime, made.session_.get(), Side::kOutputs));
  for (const ValueInfo& output : outputs) made.output_names_.push_back(output.name);
  return made;
}

Result<std::vector<ValueInfo>> TrialSession::Inputs() const {
  for (const ValueInfo& input : inputs_) {
    if (input.element_type != 0) continue;
    return Status(StatusCode::kUnimplemented,
                  "input '" + input.name + "' is no tensor: run feeds tensors only");
  }
  return inputs_;
}

Result<NamedTensor> TrialSession::Copy(const std::string& name, const OrtValue* value) const {
  BCTX_ASSIGN_OR_RETURN(const TensorView view, ReadTensor(runtime_, value, name));
  const auto bytes = proof::TensorBytes(view.element_type, view.dims.data(), view.dims.size());
  if (!bytes) {
    return Status(StatusCode::kUnimplemented,
                  "output '" + name + "' is of " + TypeName(view.element_type));
  }
  NamedTensor named{name, {view.element_type, view.dims, {}}, false};
  const auto* const first = static_cast<const uint8_t*>(view.data);
  if (*bytes != 0) named.tensor.data.assign(first, first + *bytes);
  return named;
}

Result<std::vector<NamedTensor>> TrialSession::Run(const std::vector<NamedTensor>& inputs) const {
  std::vector<Value> values;
  std::vector<const OrtValue*> given;
  std::vector<const char*> names;
  for (const NamedTensor& input : inputs) {
    const proof::Tensor& tensor = input.tensor;
    BCTX_ASSIGN_OR_RETURN(Value value, MakeTensor(runtime_, memory_.get(),
                                                  {tensor.element_type, tensor.dims,
                                                   tensor.data.data(), tensor.data.size()}));
    names.push_back(input.name.c_str());
    given.push_back(value.get());
    values.push_back(std::move(value));
  }
  const std::vector<const char*> asked = Texts(output_names_);
  std::vector<OrtValue*> made(asked.size(), nullptr);
  const Status ran =
      runtime_.Check(runtime_.api().Run(session_.get(), nullptr, names.data(), given.data(),
                                        given.size(), asked.data(), asked.size(), made.data()));
  std::vector<Value> outputs;
  for (OrtValue* value : made) outputs.emplace_back(value, Releaser{&runtime_.api()});
  BCTX_RETURN_IF_ERROR(ran);
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < outputs.size(); ++i) {
    BCTX_ASSIGN_OR_RETURN(NamedTensor tensor, Copy(output_names_[i], outputs[i].get()));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace backendctx::ort
