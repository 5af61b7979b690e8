#include "runtime/kernel.h"

#include <algorithm>
#include <cstring>

#include "common/blob.h"
#include "common/names.h"
#include "common/options.h"
#include "runtime/core.h"

namespace backendctx::openvino {
namespace {

// onnx TensorProto.DataType; undefined: of no port of ours.
ov::element::Type ElementType(int32_t onnx_type) {
  switch (onnx_type) {
    case 1:
      return ov::element::f32;
    case 2:
      return ov::element::u8;
    case 3:
      return ov::element::i8;
    case 6:
      return ov::element::i32;
    case 7:
      return ov::element::i64;
    case 9:
      return ov::element::boolean;
    case 10:
      return ov::element::f16;
    case 16:
      return ov::element::bf16;
    default:
      return ov::element::dynamic;
  }
}

// OpenVINO refuses a null pointer, also for a tensor without elements.
void* NotNull(void* data) {
  static uint64_t nothing = 0;
  return data == nullptr ? &nothing : data;
}

bool ReadShape(const int64_t* dims, int32_t rank, ov::Shape* shape) {
  if (rank < 0 || (rank > 0 && dims == nullptr)) return false;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0) return false;
    shape->push_back(static_cast<size_t>(dims[i]));
  }
  return true;
}

void* HostMemory(bctx_run* run, size_t index, const ov::Shape& shape) {
  const std::vector<int64_t> dims(shape.begin(), shape.end());
  return run->output(run, index, dims.data(), static_cast<int32_t>(dims.size()));
}

Outcome NoMemory(size_t index) {
  return Broken("the host has no memory for output " + std::to_string(index));
}

}  // namespace

Outcome Kernel::Load(const bctx_load_request& request, std::unique_ptr<Kernel>* kernel) {
  if (request.struct_size < sizeof(bctx_load_request) || request.entry == nullptr ||
      request.blob.data == nullptr || request.threads == 0) {
    return Invalid("the load request is shorter than this plug-in expects");
  }
  if (std::strcmp(request.entry, kEntry) != 0) {
    return Malformed("entry: found '" + std::string(request.entry) + "', expected '" + kEntry +
                     "'");
  }
  auto made = std::make_unique<Kernel>();
  BCTX_RETURN_UNLESS_OK(made->Import(request));
  BCTX_RETURN_UNLESS_OK(made->BindPorts(request));
  *kernel = std::move(made);
  return {};
}

Outcome Kernel::Import(const bctx_load_request& request) {
  Options options;
  BCTX_RETURN_UNLESS_OK(Options::ParseRecord(request.options, request.option_count, &options));
  const std::string_view blob(reinterpret_cast<const char*>(request.blob.data), request.blob.size);
  BlobParts parts;
  BCTX_RETURN_UNLESS_OK(ParseBlob(blob, &parts));
  ov::AnyMap properties = ToProperties(options.Properties());
  AddPlainText(&properties);
  properties["INFERENCE_NUM_THREADS"] = std::to_string(request.threads);
  std::string_view bytes = blob;  // the host keeps it until unload
  // Without a file OpenVINO reads every constant from the blob, whatever places it names.
  if (!options.embeds()) {
    if (request.weight_file == nullptr) {
      return Incompatible("the blob's weights are not in one file");
    }
    BCTX_RETURN_UNLESS_OK(RelocateBlob(blob, request.weights, request.weight_count, &relocated_));
    bytes = relocated_;
    properties["CACHE_MODE"] = "OPTIMIZE_SIZE";
    properties["WEIGHTS_PATH"] = std::string(request.weight_file);
  }
  try {
    const ov::Tensor tensor(ov::element::u8, ov::Shape{bytes.size()},
                            const_cast<char*>(bytes.data()));
    model_ = Core().import_model(tensor, "CPU", properties);
  } catch (const std::exception& exception) {
    return Incompatible(Words(exception));
  }
  return {};
}

Outcome Kernel::BindPorts(const bctx_load_request& request) {
  inputs_.resize(request.input_count);
  for (const Port& port : model_.inputs()) {
    size_t index = 0;
    while (index < inputs_.size() && port.get_names().count(InputPort(index)) == 0) ++index;
    if (index == inputs_.size() || inputs_[index]) {
      return Malformed("blob: an input is not one of the partition's " +
                       std::to_string(inputs_.size()));
    }
    inputs_[index] = port;
  }
  outputs_ = model_.outputs();
  if (outputs_.size() != request.output_count) {
    return Malformed("blob: found " + std::to_string(outputs_.size()) + " outputs, expected " +
                     std::to_string(request.output_count));
  }
  return {};
}

ov::InferRequest Kernel::TakeRequest() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      ov::InferRequest request = std::move(idle_.back());
      idle_.pop_back();
      return request;
    }
  }
  return model_.create_infer_request();
}

void Kernel::PutBack(ov::InferRequest request) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(request));
}

Outcome Kernel::SetInputs(const bctx_run& run, ov::InferRequest* request) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i]) continue;
    const bctx_tensor& from = run.inputs[i];
    const ov::element::Type type = inputs_[i]->get_element_type();
    ov::Shape shape;
    if (ElementType(from.element_type) != type || !ReadShape(from.dims, from.rank, &shape)) {
      return Invalid("input " + std::to_string(i) + ": found element type " +
                     std::to_string(from.element_type) + ", expected " + type.get_type_name());
    }
    if (!inputs_[i]->get_partial_shape().compatible(ov::PartialShape(shape))) {
      return Invalid("input " + std::to_string(i) + ": found shape " +
                     ov::PartialShape(shape).to_string() + ", expected " +
                     inputs_[i]->get_partial_shape().to_string());
    }
    request->set_tensor(*inputs_[i], ov::Tensor(type, shape, NotNull(from.data)));
  }
  return {};
}

Outcome Kernel::SetOutputs(bctx_run* run, ov::InferRequest* request) const {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].get_partial_shape().is_dynamic()) continue;
    const ov::Shape shape = outputs_[i].get_shape();
    void* memory = HostMemory(run, i, shape);
    if (memory == nullptr) return NoMemory(i);
    request->set_tensor(outputs_[i], ov::Tensor(outputs_[i].get_element_type(), shape, memory));
  }
  return {};
}

Outcome Kernel::CopyOutputs(bctx_run* run, ov::InferRequest* request) const {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].get_partial_shape().is_static()) continue;
    const ov::Tensor from = request->get_tensor(outputs_[i]);
    void* memory = HostMemory(run, i, from.get_shape());
    if (memory == nullptr) return NoMemory(i);
    if (from.get_byte_size() != 0) std::memcpy(memory, from.data(), from.get_byte_size());
  }
  return {};
}

Outcome Kernel::Run(bctx_run* run) {
  if (run->input_count != inputs_.size() || run->output_count != outputs_.size()) {
    return Invalid("found " + std::to_string(run->input_count) + " inputs and " +
                   std::to_string(run->output_count) + " outputs, expected " +
                   std::to_string(inputs_.size()) + " and " + std::to_string(outputs_.size()));
  }
  try {
    // A request that failed is not used again: it may hold the host's memory.
    ov::InferRequest request = TakeRequest();
    BCTX_RETURN_UNLESS_OK(SetInputs(*run, &request));
    BCTX_RETURN_UNLESS_OK(SetOutputs(run, &request));
    request.infer();
    BCTX_RETURN_UNLESS_OK(CopyOutputs(run, &request));
    PutBack(std::move(request));
  } catch (const std::exception& exception) {
    return Broken(Words(exception));
  }
  return {};
}

}  // namespace backendctx::openvino
