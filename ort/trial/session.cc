#include "trial/session.h"

#include <cstring>

namespace backendctx::ort {
namespace {

constexpr char kRegistration[] = "backendctx";
constexpr char kProvider[] = "BackendContextExecutionProvider";

// The names of one side, copied: `count` and `name` are the two functions of the API for it.
template <typename Count, typename Name>
Status ReadNames(const Runtime& runtime, const OrtSession* session, Count count, Name name,
                 std::vector<std::string>* names) {
  OrtAllocator* allocator = nullptr;
  BCTX_RETURN_IF_ERROR(runtime.Check(runtime.api().GetAllocatorWithDefaultOptions(&allocator)));
  size_t found = 0;
  BCTX_RETURN_IF_ERROR(runtime.Check(count(session, &found)));
  for (size_t i = 0; i < found; ++i) {
    char* text = nullptr;
    BCTX_RETURN_IF_ERROR(runtime.Check(name(session, i, allocator, &text)));
    names->emplace_back(text);
    allocator->Free(allocator, text);
  }
  return OkStatus();
}

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
  const OrtEpDevice* const* devices = nullptr;
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetEpDevices(env, &devices, &count)));
  std::vector<const OrtEpDevice*> ours;
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(api.EpDevice_EpName(devices[i]), kProvider) == 0) ours.push_back(devices[i]);
  }
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : settings.options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  return runtime_.Check(api.SessionOptionsAppendExecutionProvider_V2(
      options, env, ours.data(), ours.size(), keys.data(), values.data(), keys.size()));
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
  BCTX_RETURN_IF_ERROR(ReadNames(runtime, made.session_.get(), api.SessionGetInputCount,
                                 api.SessionGetInputName, &made.input_names_));
  BCTX_RETURN_IF_ERROR(ReadNames(runtime, made.session_.get(), api.SessionGetOutputCount,
                                 api.SessionGetOutputName, &made.output_names_));
  return made;
}

Result<DeclaredInput> TrialSession::Input(size_t index) const {
  const OrtApi& api = runtime_.api();
  DeclaredInput input;
  input.name = input_names_[index];
  OrtTypeInfo* type = nullptr;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.SessionGetInputTypeInfo(session_.get(), index, &type)));
  const std::unique_ptr<OrtTypeInfo, void (*)(OrtTypeInfo*)> owner(type, api.ReleaseTypeInfo);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.CastTypeInfoToTensorInfo(type, &tensor)));
  if (tensor == nullptr) {
    return Status(StatusCode::kUnimplemented,
                  "input '" + input.name + "' is no tensor: run feeds tensors only");
  }
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetTensorElementType(tensor, &element)));
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensionsCount(tensor, &rank)));
  std::vector<const char*> symbols(rank, nullptr);
  input.element_type = element;
  input.dims.resize(rank);
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensions(tensor, input.dims.data(), rank)));
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetSymbolicDimensions(tensor, symbols.data(), rank)));
  for (const char* symbol : symbols) input.symbols.emplace_back(symbol == nullptr ? "" : symbol);
  return input;
}

Result<std::vector<DeclaredInput>> TrialSession::Inputs() const {
  std::vector<DeclaredInput> inputs;
  for (size_t i = 0; i < input_names_.size(); ++i) {
    BCTX_ASSIGN_OR_RETURN(DeclaredInput input, Input(i));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

Result<NamedTensor> TrialSession::Copy(const std::string& name, const OrtValue* value) const {
  const OrtApi& api = runtime_.api();
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetValueType(value, &kind)));
  NamedTensor named{name, {}, false};
  if (kind != ONNX_TYPE_TENSOR) {
    return Status(StatusCode::kUnimplemented, "output '" + name + "' is no tensor");
  }
  Owned<OrtTensorTypeAndShapeInfo> info;
  BCTX_RETURN_IF_ERROR(runtime_.Make(api.GetTensorTypeAndShape, &info, value));
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetTensorElementType(info.get(), &type)));
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensionsCount(info.get(), &rank)));
  proof::Tensor& tensor = named.tensor;
  tensor.element_type = type;
  tensor.dims.resize(rank);
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensions(info.get(), tensor.dims.data(), rank)));
  const auto bytes = proof::TensorBytes(tensor.element_type, tensor.dims.data(), rank);
  if (!bytes) {
    return Status(StatusCode::kUnimplemented,
                  "output '" + name + "' is of " + TypeName(tensor.element_type));
  }
  const void* data = nullptr;
  BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetTensorData(value, &data)));
  const auto* const first = static_cast<const uint8_t*>(data);
  if (*bytes != 0) tensor.data.assign(first, first + *bytes);
  return named;
}

Result<std::vector<NamedTensor>> TrialSession::Run(const std::vector<NamedTensor>& inputs) const {
  std::vector<Value> values;
  std::vector<const OrtValue*> given;
  std::vector<const char*> names;
  for (const NamedTensor& input : inputs) {
    const proof::Tensor& tensor = input.tensor;
    // ONNX Runtime takes a pointer to non-const and does not write through an input.
    void* const data = const_cast<uint8_t*>(tensor.data.data());
    const OrtMemoryInfo* const memory = memory_.get();
    Value value;
    BCTX_RETURN_IF_ERROR(
        runtime_.Make(runtime_.api().CreateTensorWithDataAsOrtValue, &value, memory, data,
                      tensor.data.size(), tensor.dims.data(), tensor.dims.size(),
                      static_cast<ONNXTensorElementDataType>(tensor.element_type)));
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
