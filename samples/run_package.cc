// Runs a packaged model from C++ with ONNX Runtime and the BackendContext provider.
//
//   run_package ONNXRUNTIME_LIBRARY PROVIDER_LIBRARY MODEL.onnx [OPTION=VALUE ...]
//
// Everything is reached at run time: ONNX Runtime by path, so that one program serves all its
// releases, and the provider by the one registration call that every host makes. The inputs are
// ones; every unknown dimension is 16. Prints a checksum of each output, and the line in which the
// provider says how much ran compiled.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kApiVersion = 23;  // the oldest with plug-in providers
const OrtApi* api = nullptr;

// A sample's way with errors: say it and stop.
void Check(OrtStatus* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "run_package: %s\n", api->GetErrorMessage(status));
  std::exit(1);
}

void Stop(const std::string& text) {
  std::fprintf(stderr, "run_package: %s\n", text.c_str());
  std::exit(1);
}

const OrtApi* LoadRuntime(const char* path) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) Stop(dlerror());
  const auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (base == nullptr) Stop(std::string(path) + ": is not ONNX Runtime");
  const OrtApi* const found = base()->GetApi(kApiVersion);
  if (found == nullptr) Stop(std::string(path) + ": is older than ONNX Runtime 1.23");
  return found;
}

// Registers the provider and adds it, with its options, to a session's.
void AddProvider(OrtEnv* env, OrtSessionOptions* options, const char* library,
                 const std::vector<std::string>& settings) {
  Check(api->RegisterExecutionProviderLibrary(env, "backendctx", library));
  const OrtEpDevice* const* devices = nullptr;
  size_t count = 0;
  Check(api->GetEpDevices(env, &devices, &count));
  std::vector<const OrtEpDevice*> ours;
  for (size_t i = 0; i < count; ++i) {
    const char* const name = api->EpDevice_EpName(devices[i]);
    if (std::strcmp(name, "BackendContextExecutionProvider") == 0) ours.push_back(devices[i]);
  }
  std::vector<std::string> keys, values;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) Stop(setting + ": expected OPTION=VALUE");
    keys.push_back(setting.substr(0, equals));
    values.push_back(setting.substr(equals + 1));
  }
  std::vector<const char*> key_texts, value_texts;
  for (const std::string& key : keys) key_texts.push_back(key.c_str());
  for (const std::string& value : values) value_texts.push_back(value.c_str());
  Check(api->SessionOptionsAppendExecutionProvider_V2(
      options, env, ours.data(), ours.size(), key_texts.data(), value_texts.data(), keys.size()));
}

// A tensor of ones for input `index`.
OrtValue* MakeInput(const OrtSession* session, size_t index, OrtAllocator* allocator) {
  OrtTypeInfo* type = nullptr;
  Check(api->SessionGetInputTypeInfo(session, index, &type));
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  Check(api->CastTypeInfoToTensorInfo(type, &tensor));
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  Check(api->GetTensorElementType(tensor, &element));
  size_t rank = 0, count = 1;
  Check(api->GetDimensionsCount(tensor, &rank));
  std::vector<int64_t> dims(rank);
  Check(api->GetDimensions(tensor, dims.data(), rank));
  for (int64_t& dim : dims) {
    if (dim < 0) dim = 16;
    count *= static_cast<size_t>(dim);
  }
  OrtValue* value = nullptr;
  Check(api->CreateTensorAsOrtValue(allocator, dims.data(), rank, element, &value));
  void* data = nullptr;
  Check(api->GetTensorMutableData(value, &data));
  if (element == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
    for (size_t i = 0; i < count; ++i) static_cast<float*>(data)[i] = 1.0f;
  } else if (element == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64) {
    for (size_t i = 0; i < count; ++i) static_cast<int64_t*>(data)[i] = 1;
  } else {
    Stop("an input is neither float nor int64");
  }
  api->ReleaseTypeInfo(type);
  return value;
}

uint32_t Crc32(const uint8_t* data, size_t size) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

void RunOnce(OrtSession* session) {
  OrtAllocator* allocator = nullptr;
  Check(api->GetAllocatorWithDefaultOptions(&allocator));
  size_t input_count = 0, output_count = 0;
  Check(api->SessionGetInputCount(session, &input_count));
  Check(api->SessionGetOutputCount(session, &output_count));
  std::vector<char*> input_names(input_count), output_names(output_count);
  std::vector<OrtValue*> inputs(input_count), outputs(output_count, nullptr);
  for (size_t i = 0; i < input_count; ++i) {
    Check(api->SessionGetInputName(session, i, allocator, &input_names[i]));
    inputs[i] = MakeInput(session, i, allocator);
  }
  for (size_t i = 0; i < output_count; ++i) {
    Check(api->SessionGetOutputName(session, i, allocator, &output_names[i]));
  }
  Check(api->Run(session, nullptr, input_names.data(), inputs.data(), input_count,
                 output_names.data(), output_count, outputs.data()));
  for (size_t i = 0; i < output_count; ++i) {
    const void* data = nullptr;
    size_t size = 0;
    Check(api->GetTensorData(outputs[i], &data));
    Check(api->GetTensorSizeInBytes(outputs[i], &size));
    std::printf("%s: %zu bytes, crc32 %08x\n", output_names[i], size,
                Crc32(static_cast<const uint8_t*>(data), size));
  }
  for (OrtValue* value : inputs) api->ReleaseValue(value);
  for (OrtValue* value : outputs) api->ReleaseValue(value);
  for (char* name : input_names) allocator->Free(allocator, name);
  for (char* name : output_names) allocator->Free(allocator, name);
}

// Passes on what the provider says, at any level, and the warnings of everybody.
void ORT_API_CALL Print(void*, OrtLoggingLevel level, const char*, const char*, const char*,
                        const char* text) {
  const bool is_provider = std::strstr(text, "BackendContext: ") != nullptr;
  if (is_provider) std::printf("%s\n", text);
  if (!is_provider && level >= ORT_LOGGING_LEVEL_WARNING) std::fprintf(stderr, "%s\n", text);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs(
        "usage: run_package ONNXRUNTIME_LIBRARY PROVIDER_LIBRARY MODEL.onnx [OPTION=VALUE ...]\n",
        stderr);
    return 2;
  }
  api = LoadRuntime(argv[1]);
  OrtEnv* env = nullptr;
  Check(
      api->CreateEnvWithCustomLogger(Print, nullptr, ORT_LOGGING_LEVEL_INFO, "run_package", &env));
  OrtSessionOptions* options = nullptr;
  Check(api->CreateSessionOptions(&options));
  // ONNX Runtime looks for a relative path beside its own library.
  const std::string provider = std::filesystem::absolute(argv[2]).string();
  AddProvider(env, options, provider.c_str(), std::vector<std::string>(argv + 4, argv + argc));
  OrtSession* session = nullptr;
  Check(api->CreateSession(env, argv[3], options, &session));
  RunOnce(session);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  Check(api->UnregisterExecutionProviderLibrary(env, "backendctx"));
  api->ReleaseEnv(env);
  return 0;
}
