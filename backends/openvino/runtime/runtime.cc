// The library's edge: what the plug-in forwards to. No exception leaves.
#include <cstdio>

#include "runtime/core.h"
#include "runtime/kernel.h"

namespace backendctx::openvino {
namespace {

bctx_code LoadEdge(const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (request == nullptr || kernel == nullptr) return Invalid("no request or no place for it");
    std::unique_ptr<Kernel> made;
    BCTX_RETURN_UNLESS_OK(Kernel::Load(*request, &made));
    *kernel = reinterpret_cast<bctx_kernel*>(made.release());
    return {};
  });
}

bctx_code RunEdge(bctx_kernel* kernel, bctx_run* run, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (kernel == nullptr || run == nullptr || run->struct_size < sizeof(bctx_run) ||
        run->output == nullptr || (run->inputs == nullptr && run->input_count != 0)) {
      return Invalid("the run request is shorter than this plug-in expects");
    }
    return reinterpret_cast<Kernel*>(kernel)->Run(run);
  });
}

void Unload(bctx_kernel* kernel) { delete reinterpret_cast<Kernel*>(kernel); }

bctx_code FactsEdge(bctx_sink* sink, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (sink == nullptr || sink->add == nullptr) return Invalid("nobody takes the facts");
    std::string label;
    try {
      label = OwnLabel();
    } catch (const std::exception& exception) {
      return Broken(Words(exception));
    }
    sink->add(sink, "library.openvino", BCTX_OPENVINO_RELEASE);
    sink->add(sink, "vendor.openvino", label.c_str());
    return {};
  });
}

Outcome Judge(const std::string& label, bctx_judgement* judgement) {
  const auto found = Core()
                         .get_property("CPU", ov::compatibility_check.name(),
                                       ov::AnyMap{{ov::runtime_requirements.name(), label}})
                         .as<ov::CompatibilityCheck>();
  switch (found) {
    case ov::CompatibilityCheck::SUPPORTED:
      judgement->verdict = BCTX_OPTIMAL;
      return {};
    case ov::CompatibilityCheck::UNSUPPORTED:
      judgement->verdict = BCTX_UNSUPPORTED_HERE;
      std::snprintf(judgement->reason, sizeof(judgement->reason),
                    "the blob is for \"%s\", this machine makes \"%s\"", label.c_str(),
                    OwnLabel().c_str());
      return {};
    default:
      judgement->verdict = BCTX_NOT_APPLICABLE;
      std::snprintf(judgement->reason, sizeof(judgement->reason),
                    "OpenVINO does not know the label");
      return {};
  }
}

bctx_code JudgeEdge(const char* label, bctx_judgement* judgement, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (label == nullptr || judgement == nullptr ||
        judgement->struct_size < sizeof(bctx_judgement)) {
      return Invalid("no label or no place for the verdict");
    }
    judgement->reason[0] = '\0';
    try {
      return Judge(label, judgement);
    } catch (const std::exception& exception) {
      return Broken(Words(exception));
    }
  });
}

const bctx_plugin kRuntime = [] {
  bctx_plugin table{};
  table.struct_size = sizeof(table);
  table.abi_version = BCTX_PLUGIN_ABI_VERSION;
  table.backend = "openvino";
  table.version = BCTX_OPENVINO_RELEASE;
  table.load = LoadEdge;
  table.run = RunEdge;
  table.unload = Unload;
  table.facts = FactsEdge;
  table.judge = JudgeEdge;
  return table;
}();

}  // namespace
}  // namespace backendctx::openvino

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_openvino_runtime() {
  return &backendctx::openvino::kRuntime;
}
