#include "provider/kernel_node.h"

#include <array>
#include <memory>
#include <new>
#include <thread>

namespace backendctx::ort {
namespace {

constexpr size_t kInlineInputs = 16;
constexpr size_t kInlineRank = 8;

// ONNX Runtime does not say how large a session's pool is; a pool is not larger than this unless
// someone asks for more threads than processors.
size_t MostThreads() {
  static const size_t count = std::max(1u, std::thread::hardware_concurrency());
  return count;
}

size_t ElementSize(int32_t type) {
  switch (type) {
    case 2:
    case 3:
    case 9:
      return 1;
    case 4:
    case 5:
    case 10:
    case 16:
      return 2;
    case 7:
    case 11:
    case 13:
      return 8;
    default:
      return 4;
  }
}

// One run: what the callbacks of bctx_run need, and the first thing that went wrong in them.
class Frame {
 public:
  Frame(const KernelNode& node, OrtKernelContext* context) : node_(node), context_(context) {}
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() {
    if (failed_ != nullptr) node_.api.ReleaseStatus(failed_);
  }

  OrtStatus* Run() {
    const size_t count = node_.ports.inputs.size();
    bctx_tensor* tensors = inline_tensors_.data();
    int64_t* dims = inline_dims_.data();
    if (count > kInlineInputs) {
      more_tensors_.resize(count);
      more_dims_.resize(count * kInlineRank);
      tensors = more_tensors_.data();
      dims = more_dims_.data();
    }
    for (size_t i = 0; i < count; ++i) {
      if (OrtStatus* status = ReadInput(i, dims + i * kInlineRank, &tensors[i])) return status;
    }
    bctx_run run{};
    run.struct_size = sizeof(run);
    run.inputs = tensors;
    run.input_count = count;
    run.output_count = node_.ports.outputs.size();
    run.output = Output;
    run.parallel = Parallel;
    run.threads = MostThreads();
    run.host = this;
    const Status status = node_.kernel.Run(&run);
    if (failed_ != nullptr) return std::exchange(failed_, nullptr);
    if (status.ok()) return nullptr;
    return node_.api.CreateStatus(ORT_FAIL, (node_.name + ": " + status.message()).c_str());
  }

 private:
  OrtStatus* ReadInput(size_t index, int64_t* dims, bctx_tensor* tensor) {
    *tensor = {};
    const int port = node_.ports.inputs[index];
    if (port < 0) return nullptr;
    const OrtValue* value = nullptr;
    const OrtApi& api = node_.api;
    if (OrtStatus* status =
            api.KernelContext_GetInput(context_, static_cast<size_t>(port), &value)) {
      return status;
    }
    if (value == nullptr) return nullptr;  // an optional input that this run does not give
    OrtTensorTypeAndShapeInfo* made = nullptr;
    if (OrtStatus* status = api.GetTensorTypeAndShape(value, &made)) return status;
    const Owned<OrtTensorTypeAndShapeInfo> info(made, Releaser{&api});
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t rank = 0;
    if (OrtStatus* status = api.GetTensorElementType(made, &type)) return status;
    if (OrtStatus* status = api.GetDimensionsCount(made, &rank)) return status;
    if (rank > kInlineRank) {
      high_ranks_.push_back(std::make_unique<int64_t[]>(rank));
      dims = high_ranks_.back().get();
    }
    if (OrtStatus* status = api.GetDimensions(made, dims, rank)) return status;
    const void* data = nullptr;
    if (OrtStatus* status = api.GetTensorData(value, &data)) return status;
    tensor->data = const_cast<void*>(data);  // the interface lets no kernel write to an input
    tensor->dims = dims;
    tensor->rank = static_cast<int32_t>(rank);
    tensor->element_type = type;
    return nullptr;
  }

  static void* Output(bctx_run* run, size_t index, const int64_t* dims, int32_t rank) {
    try {
      return static_cast<Frame*>(run->host)->MakeOutput(index, dims, rank);
    } catch (...) {  // no memory: the interface says null
      return nullptr;
    }
  }

  void* MakeOutput(size_t index, const int64_t* dims, int32_t rank) {
    if (index >= node_.ports.outputs.size() || rank < 0) return nullptr;
    const int port = node_.ports.outputs[index];
    if (port < 0) return Scratch(index, dims, rank);
    OrtValue* value = nullptr;
    void* data = nullptr;
    OrtStatus* status = node_.api.KernelContext_GetOutput(context_, static_cast<size_t>(port), dims,
                                                          static_cast<size_t>(rank), &value);
    if (status == nullptr) status = node_.api.GetTensorMutableData(value, &data);
    if (status != nullptr) {
      Fail(status);
      return nullptr;
    }
    // A tensor without elements may have no address; null would mean that there is no memory.
    static int64_t nothing;
    return data != nullptr ? data : &nothing;
  }

  // An output that nobody reads still has to be written somewhere.
  void* Scratch(size_t index, const int64_t* dims, int32_t rank) {
    size_t bytes = ElementSize(node_.ports.output_types[index]);
    for (int32_t i = 0; i < rank; ++i) {
      if (dims[i] < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(dims[i]), &bytes)) {
        return nullptr;
      }
    }
    scratch_.push_back(std::make_unique<std::byte[]>(bytes + 1));
    return scratch_.back().get();
  }

  static void Parallel(bctx_run* run, size_t count, void (*work)(void*, size_t), void* argument) {
    auto* const frame = static_cast<Frame*>(run->host);
    if (count == 1) return work(argument, 0);
    OrtStatus* const status =
        frame->node_.api.KernelContext_ParallelFor(frame->context_, work, count, 0, argument);
    if (status != nullptr) frame->Fail(status);
  }

  void Fail(OrtStatus* status) {
    if (failed_ == nullptr) {
      failed_ = status;
    } else {
      node_.api.ReleaseStatus(status);
    }
  }

  const KernelNode& node_;
  OrtKernelContext* const context_;
  OrtStatus* failed_ = nullptr;
  std::array<bctx_tensor, kInlineInputs> inline_tensors_;
  std::array<int64_t, kInlineInputs * kInlineRank> inline_dims_;
  std::vector<bctx_tensor> more_tensors_;
  std::vector<int64_t> more_dims_;
  std::vector<std::unique_ptr<int64_t[]>> high_ranks_;
  std::vector<std::unique_ptr<std::byte[]>> scratch_;
};

OrtStatus* ORT_API_CALL CreateState(OrtNodeComputeInfo* info, OrtNodeComputeContext*,
                                    void** state) {
  *state = nullptr;
  try {
    static_cast<KernelNode*>(info)->on_ready();
  } catch (...) {  // NOLINT: it only logs
  }
  return nullptr;
}

OrtStatus* ORT_API_CALL Compute(OrtNodeComputeInfo* info, void*, OrtKernelContext* context) {
  const auto& node = *static_cast<const KernelNode*>(info);
  try {
    return node.Run(context);
  } catch (const std::exception& exception) {
    return node.api.CreateStatus(ORT_FAIL, exception.what());
  }
}

void ORT_API_CALL ReleaseState(OrtNodeComputeInfo*, void*) {}

}  // namespace

KernelNode::KernelNode(const OrtApi& ort_api, std::string call_name, plugin::Kernel loaded,
                       PortMap port_map, std::function<void()> when_ready)
    : OrtNodeComputeInfo{},
      api(ort_api),
      name(std::move(call_name)),
      kernel(std::move(loaded)),
      ports(std::move(port_map)),
      on_ready(std::move(when_ready)) {
  ort_version_supported = kApiVersion;
  OrtNodeComputeInfo::CreateState = ort::CreateState;
  OrtNodeComputeInfo::Compute = ort::Compute;
  OrtNodeComputeInfo::ReleaseState = ort::ReleaseState;
}

OrtStatus* KernelNode::Run(OrtKernelContext* context) const { return Frame(*this, context).Run(); }

}  // namespace backendctx::ort
