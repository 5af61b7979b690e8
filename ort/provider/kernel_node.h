// A claimed call at run time: ONNX Runtime's kernel context on one side, bctx_run on the other.
//
// Compute allocates nothing of its own for up to 16 operands of rank 8, keeps no state between runs
// and may be called from several threads at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugin/plugin.h"
#include "runtime/handles.h"

namespace backendctx::ort {

// Where each operand of the call is among the fused node's ports; -1: nowhere, because the input is
// absent or nobody reads the output.
struct PortMap {
  std::vector<int> inputs, outputs;
  std::vector<int32_t> output_types;  // onnx TensorProto.DataType
};

struct KernelNode : OrtNodeComputeInfo {
  KernelNode(const OrtApi& ort_api, std::string call_name, plugin::Kernel loaded, PortMap port_map,
             std::function<void()> when_ready);

  OrtStatus* Run(OrtKernelContext* context) const;

  const OrtApi& api;
  const std::string name;
  const plugin::Kernel kernel;
  const PortMap ports;
  const std::function<void()> on_ready;  // called when ONNX Runtime has placed all nodes
};

}  // namespace backendctx::ort
