// Runs a package through backendctx::Session: no ONNX Runtime in sight, and why it ran so.
//
//   run_session MODEL.onnx [ONNXRUNTIME_LIBRARY [BACKEND ...]]
//
// Backends are in order of preference. Inputs are ones; every unknown dimension is 16. Trusted are
// the keys that the tools trust. Prints what was decided about each context, then a line for each
// output.
#include <backendctx/session.h>

#include <cstdio>
#include <string>
#include <vector>

namespace {

using backendctx::Decision;
using backendctx::InputTensor;
using backendctx::OutputTensor;
using backendctx::Result;
using backendctx::Session;
using backendctx::Status;
using backendctx::StatusCode;
using backendctx::ValueInfo;

constexpr int32_t kFloat = 1, kInt64 = 7;  // onnx TensorProto.DataType

// Ones for every input; `floats` and `integers` are the memory that all of them share.
Result<std::vector<InputTensor>> MakeInputs(const Session& session, std::vector<float>* floats,
                                            std::vector<int64_t>* integers) {
  std::vector<InputTensor> inputs;
  uint64_t most = 0;
  for (const ValueInfo& input : session.inputs()) {
    InputTensor made{input.name, {input.element_type, input.dims, nullptr, 0}};
    uint64_t count = 1;
    for (int64_t& dim : made.tensor.dims) {
      if (dim < 0) dim = 16;
      count *= static_cast<uint64_t>(dim);
    }
    if (input.element_type != kFloat && input.element_type != kInt64) {
      return Status(StatusCode::kUnimplemented, "an input is neither float nor int64");
    }
    made.tensor.size = count * (input.element_type == kFloat ? sizeof(float) : sizeof(int64_t));
    most = count > most ? count : most;
    inputs.push_back(made);
  }
  floats->assign(most, 1.0f);
  integers->assign(most, 1);
  for (InputTensor& input : inputs) {
    const bool is_float = input.tensor.element_type == kFloat;
    input.tensor.data = is_float ? static_cast<const void*>(floats->data()) : integers->data();
  }
  return inputs;
}

Status Run(int argc, char** argv) {
  backendctx::SessionOptions options;
  if (argc > 2) options.runtime = argv[2];
  for (int i = 3; i < argc; ++i) options.policy.backends.emplace_back(argv[i]);
  BCTX_ASSIGN_OR_RETURN(const Session session, Session::Open(argv[1], options));
  for (const Decision& decision : session.report().decisions) {
    std::printf("%s: %s, %s: %s\n", decision.context.c_str(), OutcomeName(decision.outcome),
                decision.reason.c_str(), decision.detail.c_str());
  }
  std::printf("%zu compiled, %zu interpreted\n", session.report().compiled,
              session.report().interpreted);
  std::vector<float> floats;
  std::vector<int64_t> integers;
  BCTX_ASSIGN_OR_RETURN(const std::vector<InputTensor> inputs,
                        MakeInputs(session, &floats, &integers));
  BCTX_ASSIGN_OR_RETURN(const std::vector<OutputTensor> outputs, session.Run(inputs));
  for (const OutputTensor& output : outputs) {
    std::printf("output %s: %llu bytes\n", output.name.c_str(),
                static_cast<unsigned long long>(output.tensor.size));
  }
  return backendctx::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: run_session MODEL.onnx [ONNXRUNTIME_LIBRARY [BACKEND ...]]\n", stderr);
    return 2;
  }
  const Status status = Run(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "run_session: %s\n", status.message().c_str());
  return backendctx::ExitCode(status.code());
}
