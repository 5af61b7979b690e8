#include "body/run_body.h"

#include <cstdlib>
#include <vector>

#include "runtime/runtime.h"

namespace backendctx::ort {
namespace {

using proof::Tensor;

class BodySession {
 public:
  static Result<BodySession> Make(const Runtime& runtime, const proof::Request& request) {
    BodySession body(runtime);
    const OrtApi& api = runtime.api();
    BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateEnv, &body.env_, ORT_LOGGING_LEVEL_ERROR, "bctx"));
    SessionOptions options;
    BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateSessionOptions, &options));
    BCTX_RETURN_IF_ERROR(
        runtime.Check(api.SetIntraOpNumThreads(options.get(), static_cast<int>(request.threads))));
    // The nodes as they are written: a proof compares with the model, not with its rewrites.
    BCTX_RETURN_IF_ERROR(
        runtime.Check(api.SetSessionGraphOptimizationLevel(options.get(), ORT_DISABLE_ALL)));
    const OrtEnv* const env = body.env_.get();
    const void* const model = request.blob.data();
    const OrtSessionOptions* const chosen = options.get();
    BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateSessionFromArray, &body.session_, env, model,
                                      request.blob.size(), chosen));
    BCTX_RETURN_IF_ERROR(runtime.Make(api.CreateCpuMemoryInfo, &body.memory_, OrtDeviceAllocator,
                                      OrtMemTypeDefault));
    BCTX_RETURN_IF_ERROR(body.ReadNames());
    return body;
  }

  Result<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) const {
    if (inputs.size() != input_names_.size()) {
      return Status(StatusCode::kInvalidArgument, "the case has " + std::to_string(inputs.size()) +
                                                      " inputs, expected " +
                                                      std::to_string(input_names_.size()));
    }
    std::vector<Value> values;
    for (const Tensor& input : inputs) {
      Value value;
      BCTX_RETURN_IF_ERROR(Wrap(input, &value));
      values.push_back(std::move(value));
    }
    return Run(values);
  }

 private:
  explicit BodySession(const Runtime& runtime) : runtime_(runtime) {}

  // The session's names, copied: `count` and `name` are the two functions of the API for one side.
  template <typename Count, typename Name>
  Status ReadNames(Count count, Name name, std::vector<std::string>* names) {
    OrtAllocator* allocator = nullptr;
    BCTX_RETURN_IF_ERROR(runtime_.Check(runtime_.api().GetAllocatorWithDefaultOptions(&allocator)));
    size_t found = 0;
    BCTX_RETURN_IF_ERROR(runtime_.Check(count(session_.get(), &found)));
    for (size_t i = 0; i < found; ++i) {
      char* text = nullptr;
      BCTX_RETURN_IF_ERROR(runtime_.Check(name(session_.get(), i, allocator, &text)));
      names->emplace_back(text);
      allocator->Free(allocator, text);
    }
    return OkStatus();
  }

  Status ReadNames() {
    const OrtApi& api = runtime_.api();
    BCTX_RETURN_IF_ERROR(
        ReadNames(api.SessionGetInputCount, api.SessionGetInputName, &input_names_));
    return ReadNames(api.SessionGetOutputCount, api.SessionGetOutputName, &output_names_);
  }

  // A view of `tensor`, which must outlive it.
  Status Wrap(const Tensor& tensor, Value* value) const {
    // ONNX Runtime takes a pointer to non-const and does not write through an input.
    void* const data = const_cast<uint8_t*>(tensor.data.data());
    const OrtMemoryInfo* const memory = memory_.get();
    return runtime_.Make(runtime_.api().CreateTensorWithDataAsOrtValue, value, memory, data,
                         tensor.data.size(), tensor.dims.data(), tensor.dims.size(),
                         static_cast<ONNXTensorElementDataType>(tensor.element_type));
  }

  Result<std::vector<Tensor>> Run(const std::vector<Value>& inputs) const {
    std::vector<const char*> input_names, output_names;
    for (const std::string& name : input_names_) input_names.push_back(name.c_str());
    for (const std::string& name : output_names_) output_names.push_back(name.c_str());
    std::vector<const OrtValue*> given;
    for (const Value& value : inputs) given.push_back(value.get());
    std::vector<OrtValue*> made(output_names.size(), nullptr);
    const Status ran = runtime_.Check(
        runtime_.api().Run(session_.get(), nullptr, input_names.data(), given.data(), given.size(),
                           output_names.data(), output_names.size(), made.data()));
    std::vector<Value> outputs;
    for (OrtValue* value : made) outputs.emplace_back(value, Releaser{&runtime_.api()});
    BCTX_RETURN_IF_ERROR(ran);
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < outputs.size(); ++i) {
      Result<Tensor> tensor = Copy(outputs[i].get());
      if (!tensor) return tensor.status().WithContext("output " + output_names_[i]);
      tensors.push_back(std::move(*tensor));
    }
    return tensors;
  }

  Result<Tensor> Copy(const OrtValue* value) const {
    const OrtApi& api = runtime_.api();
    Owned<OrtTensorTypeAndShapeInfo> info;
    BCTX_RETURN_IF_ERROR(runtime_.Make(api.GetTensorTypeAndShape, &info, value));
    Tensor tensor;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetTensorElementType(info.get(), &type)));
    tensor.element_type = type;
    size_t rank = 0;
    BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensionsCount(info.get(), &rank)));
    tensor.dims.resize(rank);
    BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetDimensions(info.get(), tensor.dims.data(), rank)));
    const auto bytes = proof::TensorBytes(tensor.element_type, tensor.dims.data(), rank);
    if (!bytes) {
      return Status(StatusCode::kUnimplemented,
                    "element type " + std::to_string(tensor.element_type) + " cannot be carried");
    }
    const void* data = nullptr;
    BCTX_RETURN_IF_ERROR(runtime_.Check(api.GetTensorData(value, &data)));
    const auto* const first = static_cast<const uint8_t*>(data);
    if (*bytes != 0) tensor.data.assign(first, first + *bytes);
    return tensor;
  }

  Runtime runtime_;
  Env env_;
  Session session_;
  Owned<OrtMemoryInfo> memory_;
  std::vector<std::string> input_names_, output_names_;
};

}  // namespace

Result<proof::Response> RunBody(const std::string& ort_library, const proof::Request& request) {
  BCTX_ASSIGN_OR_RETURN(const Runtime runtime, Runtime::Open(ort_library));
  BCTX_ASSIGN_OR_RETURN(const BodySession body, BodySession::Make(runtime, request));
  proof::Response response;
  for (size_t i = 0; i < request.cases.size(); ++i) {
    Result<std::vector<Tensor>> outputs = body.Run(request.cases[i]);
    if (!outputs) return outputs.status().WithContext("case " + std::to_string(i));
    response.cases.push_back(std::move(*outputs));
  }
  return response;
}

}  // namespace backendctx::ort
