// The plug-in's table. Nothing here links OpenVINO: compiling is another process, running another
// library.
#include <backendctx/plugin_abi.h>

#include <string>
#include <string_view>

#include "common/blob.h"
#include "common/options.h"
#include "common/targets.h"
#include "plugin/compile.h"
#include "plugin/offer.h"
#include "plugin/runtime.h"

namespace backendctx::openvino {
namespace {

bctx_code CompileEdge(const bctx_compile_request* request, bctx_blob* blob, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (request == nullptr || blob == nullptr) return Invalid("no request or no place for a blob");
    return Compile(*request, blob);
  });
}

bctx_code OfferEdge(const bctx_offer_request* request, bctx_offer* offer, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (request == nullptr || offer == nullptr) return Invalid("no request or no place for offers");
    return MakeOffer(*request, offer);
  });
}

bctx_code LabelEdge(const bctx_bytes* blob, bctx_sink* sink, bctx_error* error) {
  return AtEdge(error, [&]() -> Outcome {
    if (blob == nullptr || sink == nullptr || sink->add == nullptr) return Invalid("no blob");
    BlobParts parts;
    BCTX_RETURN_UNLESS_OK(
        ParseBlob({reinterpret_cast<const char*>(blob->data), blob->size}, &parts));
    sink->add(sink, "label", std::string(parts.label).c_str());
    return {};
  });
}

bctx_code FactsEdge(bctx_sink* sink, bctx_error* error) {
  const bctx_plugin* runtime = nullptr;
  const Outcome outcome = Runtime(&runtime);
  // Of a machine without OpenVINO there is nothing to say, and so no blob of it fits.
  if (outcome.code == BCTX_UNSUPPORTED) return BCTX_OK;
  return outcome.ok() ? runtime->facts(sink, error) : Report(outcome, error);
}

bctx_code JudgeEdge(const char* label, bctx_judgement* judgement, bctx_error* error) {
  const bctx_plugin* runtime = nullptr;
  const Outcome outcome = Runtime(&runtime);
  return outcome.ok() ? runtime->judge(label, judgement, error) : Report(outcome, error);
}

bctx_code LoadEdge(const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
  const bctx_plugin* runtime = nullptr;
  Outcome outcome = Runtime(&runtime);
  if (outcome.code == BCTX_UNSUPPORTED) outcome.code = BCTX_INCOMPATIBLE;
  return outcome.ok() ? runtime->load(request, kernel, error) : Report(outcome, error);
}

// A kernel was loaded, so the library was.
bctx_code RunEdge(bctx_kernel* kernel, bctx_run* run, bctx_error* error) {
  const bctx_plugin* runtime = nullptr;
  const Outcome outcome = Runtime(&runtime);
  return outcome.ok() ? runtime->run(kernel, run, error) : Report(outcome, error);
}

void UnloadEdge(bctx_kernel* kernel) {
  const bctx_plugin* runtime = nullptr;
  if (Runtime(&runtime).ok()) runtime->unload(kernel);
}

const bctx_plugin* PluginTable() {
  static const bctx_plugin table = [] {
    bctx_plugin made{};
    made.struct_size = sizeof(made);
    made.abi_version = BCTX_PLUGIN_ABI_VERSION;
    made.backend = "openvino";
    made.version = BCTX_OPENVINO_VERSION;
    made.targets = TargetNames();
    made.option_keys = OptionKeys();
    made.compile = CompileEdge;
    made.release_blob = ReleaseBlob;
    made.load = LoadEdge;
    made.run = RunEdge;
    made.unload = UnloadEdge;
    made.flags = BCTX_PLUGIN_REPRODUCIBLE;
    made.offer = OfferEdge;
    made.release_offer = ReleaseOffer;
    made.label = LabelEdge;
    made.facts = FactsEdge;
    made.judge = JudgeEdge;
    return made;
  }();
  return &table;
}

}  // namespace
}  // namespace backendctx::openvino

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t max_abi_version) {
  if (max_abi_version < BCTX_PLUGIN_ABI_VERSION) return nullptr;
  return backendctx::openvino::PluginTable();
}
