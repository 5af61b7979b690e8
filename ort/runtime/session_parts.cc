#include "runtime/session_parts.h"

#include <cstring>
#include <memory>

namespace backendctx::ort {
namespace {

Result<std::string> ReadName(const Runtime& runtime, const OrtSession* session, Side side,
                             size_t index) {
  const OrtApi& api = runtime.api();
  OrtAllocator* allocator = nullptr;
  BCTX_RETURN_IF_ERROR(runtime.Check(api.GetAllocatorWithDefaultOptions(&allocator)));
  char* text = nullptr;
  const auto get = side == Side::kInputs ? api.SessionGetInputName : api.SessionGetOutputName;
  BCTX_RETURN_IF_ERROR(runtime.Check(get(session, index, allocator, &text)));
  std::string name = text;
  allocator->Free(allocator, text);
  return name;
}

// Element type and dimensions, -1 where they are not known.
Status ReadShape(const Runtime& runtime, const OrtTensorTypeAndShapeInfo* from,
                 int32_t* element_type, std::vector<int64_t>* dims) {
  const OrtApi& api = runtime.api();
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  BCTX_RETURN_IF_ERROR(runtime.Check(api.GetTensorElementType(from, &type)));
  BCTX_RETURN_IF_ERROR(runtime.Check(api.GetDimensionsCount(from, &rank)));
  *element_type = type;
  dims->resize(rank);
  return runtime.Check(api.GetDimensions(from, dims->data(), rank));
}

Result<ValueInfo> ReadValue(const Runtime& runtime, const OrtSession* session, Side side,
                            size_t index) {
  const OrtApi& api = runtime.api();
  ValueInfo value;
  BCTX_ASSIGN_OR_RETURN(value.name, ReadName(runtime, session, side, index));
  OrtTypeInfo* type = nullptr;
  const auto get =
      side == Side::kInputs ? api.SessionGetInputTypeInfo : api.SessionGetOutputTypeInfo;
  BCTX_RETURN_IF_ERROR(runtime.Check(get(session, index, &type)));
  const std::unique_ptr<OrtTypeInfo, void (*)(OrtTypeInfo*)> owner(type, api.ReleaseTypeInfo);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  BCTX_RETURN_IF_ERROR(runtime.Check(api.CastTypeInfoToTensorInfo(type, &tensor)));
  if (tensor == nullptr) return value;
  BCTX_RETURN_IF_ERROR(ReadShape(runtime, tensor, &value.element_type, &value.dims));
  std::vector<const char*> symbols(value.dims.size(), nullptr);
  BCTX_RETURN_IF_ERROR(
      runtime.Check(api.GetSymbolicDimensions(tensor, symbols.data(), symbols.size())));
  for (const char* symbol : symbols) value.symbols.emplace_back(symbol == nullptr ? "" : symbol);
  return value;
}

}  // namespace

Result<std::vector<const OrtEpDevice*>> ProviderDevices(const Runtime& runtime, const OrtEnv* env) {
  const OrtApi& api = runtime.api();
  const OrtEpDevice* const* devices = nullptr;
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(runtime.Check(api.GetEpDevices(env, &devices, &count)));
  std::vector<const OrtEpDevice*> ours;
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(api.EpDevice_EpName(devices[i]), kProviderName) == 0) {
      ours.push_back(devices[i]);
    }
  }
  return ours;
}

Status AppendProvider(const Runtime& runtime, OrtEnv* env,
                      const std::map<std::string, std::string>& settings,
                      OrtSessionOptions* options) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> ours, ProviderDevices(runtime, env));
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : settings) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  return runtime.Check(runtime.api().SessionOptionsAppendExecutionProvider_V2(
      options, env, ours.data(), ours.size(), keys.data(), values.data(), keys.size()));
}

Result<std::vector<ValueInfo>> ReadDeclared(const Runtime& runtime, const OrtSession* session,
                                            Side side) {
  const auto count = side == Side::kInputs ? runtime.api().SessionGetInputCount
                                           : runtime.api().SessionGetOutputCount;
  size_t found = 0;
  BCTX_RETURN_IF_ERROR(runtime.Check(count(session, &found)));
  std::vector<ValueInfo> values;
  for (size_t i = 0; i < found; ++i) {
    BCTX_ASSIGN_OR_RETURN(ValueInfo value, ReadValue(runtime, session, side, i));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Value> MakeTensor(const Runtime& runtime, const OrtMemoryInfo* memory,
                         const TensorView& tensor) {
  // ONNX Runtime takes a pointer to non-const and does not write through an input.
  void* const data = const_cast<void*>(tensor.data);
  Value value;
  BCTX_RETURN_IF_ERROR(runtime.Make(runtime.api().CreateTensorWithDataAsOrtValue, &value, memory,
                                    data, static_cast<size_t>(tensor.size), tensor.dims.data(),
                                    tensor.dims.size(),
                                    static_cast<ONNXTensorElementDataType>(tensor.element_type)));
  return value;
}

Result<TensorView> ReadTensor(const Runtime& runtime, const OrtValue* value,
                              const std::string& name) {
  const OrtApi& api = runtime.api();
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  if (value != nullptr) BCTX_RETURN_IF_ERROR(runtime.Check(api.GetValueType(value, &kind)));
  if (kind != ONNX_TYPE_TENSOR) {
    return Status(StatusCode::kUnimplemented, "output '" + name + "' is no tensor");
  }
  Owned<OrtTensorTypeAndShapeInfo> info;
  BCTX_RETURN_IF_ERROR(runtime.Make(api.GetTensorTypeAndShape, &info, value));
  TensorView tensor;
  BCTX_RETURN_IF_ERROR(ReadShape(runtime, info.get(), &tensor.element_type, &tensor.dims));
  BCTX_RETURN_IF_ERROR(runtime.Check(api.GetTensorData(value, &tensor.data)));
  return tensor;
}

}  // namespace backendctx::ort
