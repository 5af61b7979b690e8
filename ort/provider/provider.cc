// The C side of the provider: what ONNX Runtime calls. Every callback ends here, catches, and hands
// on to ProviderSession.
#include <cctype>
#include <exception>
#include <memory>
#include <string>

#include "backendctx/version.h"
#include "provider/session.h"
#include "runtime/session_parts.h"

namespace backendctx::ort {
namespace {

constexpr char kVendor[] = "BackendContext";
constexpr uint32_t kVendorId = 0;  // no device of ours

struct Provider : OrtEp {
  Provider(const Apis& used, const Result<KeyValues>& entries, const OrtLogger* logger,
           std::shared_ptr<Handoff> handoff);
  const Apis apis;
  ProviderSession session;
};

struct Factory : OrtEpFactory {
  explicit Factory(Apis used);
  const Apis apis;
};

// Runs `call`; what it throws becomes a status, null stays null.
template <typename Call>
OrtStatus* Guarded(const OrtApi& api, Call call) noexcept {
  try {
    return call();
  } catch (const std::exception& exception) {
    return api.CreateStatus(ORT_EP_FAIL, exception.what());
  } catch (...) {
    return api.CreateStatus(ORT_EP_FAIL, "an unknown exception");
  }
}

// ---- a session's provider ---------------------------------------------------------------------

const char* ORT_API_CALL GetName(const OrtEp*) noexcept { return kProviderName; }

OrtStatus* ORT_API_CALL GetCapability(OrtEp* ep, const OrtGraph* graph,
                                      OrtEpGraphSupportInfo* info) noexcept {
  auto* const provider = static_cast<Provider*>(ep);
  return Guarded(*provider->apis.ort, [&]() -> OrtStatus* {
    OrtNodeFusionOptions options{};
    options.ort_version_supported = kApiVersion;
    for (const std::vector<const OrtNode*>& nodes : provider->session.Claim(graph)) {
      OrtStatus* const status = provider->apis.ep->EpGraphSupportInfo_AddNodesToFuse(
          info, nodes.data(), nodes.size(), &options);
      if (status != nullptr) return status;
    }
    return nullptr;
  });
}

OrtStatus* ORT_API_CALL Compile(OrtEp* ep, const OrtGraph** graphs, const OrtNode** fused,
                                size_t count, OrtNodeComputeInfo** infos, OrtNode**) noexcept {
  auto* const provider = static_cast<Provider*>(ep);
  const OrtApi& api = *provider->apis.ort;
  return Guarded(api, [&]() -> OrtStatus* {
    std::vector<std::unique_ptr<KernelNode>> made;
    for (size_t i = 0; i < count; ++i) {
      Result<std::unique_ptr<KernelNode>> node = provider->session.Compile(graphs[i], fused[i]);
      if (!node) {
        const std::string text = std::string("BackendContext: ") +
                                 StatusCodeName(node.error().code()) + ": " +
                                 node.error().message();
        return api.CreateStatus(ORT_EP_FAIL, text.c_str());
      }
      made.push_back(std::move(*node));
    }
    for (size_t i = 0; i < count; ++i) infos[i] = made[i].release();
    return nullptr;
  });
}

void ORT_API_CALL ReleaseNodeComputeInfos(OrtEp*, OrtNodeComputeInfo** infos,
                                          size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) delete static_cast<KernelNode*>(infos[i]);
}

OrtStatus* ORT_API_CALL OnRunStart(OrtEp* ep, const OrtRunOptions*) noexcept {
  auto* const provider = static_cast<Provider*>(ep);
  return Guarded(*provider->apis.ort, [&]() -> OrtStatus* {
    provider->session.Finish();
    return nullptr;
  });
}

// Options that are wrong are kept for Compile: an error from CreateEp would be answered with a
// session without this provider. The report is written all the same.
std::string ReportPath(const Result<KeyValues>& entries) {
  if (!entries) return "";
  const auto report = entries->find("report");
  return report != entries->end() ? report->second : "";
}

Provider::Provider(const Apis& used, const Result<KeyValues>& entries, const OrtLogger* logger,
                   std::shared_ptr<Handoff> handoff)
    : OrtEp{},
      apis(used),
      session(used, entries ? ParseOptions(*entries) : entries.status(), ReportPath(entries),
              logger, std::move(handoff)) {
  ort_version_supported = kApiVersion;
  OrtEp::GetName = ort::GetName;
  OrtEp::GetCapability = ort::GetCapability;
  OrtEp::Compile = ort::Compile;
  OrtEp::ReleaseNodeComputeInfos = ort::ReleaseNodeComputeInfos;
  OrtEp::OnRunStart = ort::OnRunStart;
}

// ---- the factory ------------------------------------------------------------------------------

const char* ORT_API_CALL FactoryName(const OrtEpFactory*) noexcept { return kProviderName; }
const char* ORT_API_CALL FactoryVendor(const OrtEpFactory*) noexcept { return kVendor; }
uint32_t ORT_API_CALL FactoryVendorId(const OrtEpFactory*) noexcept { return kVendorId; }
const char* ORT_API_CALL FactoryVersion(const OrtEpFactory*) noexcept { return LibraryVersion(); }
bool ORT_API_CALL IsStreamAware(const OrtEpFactory*) noexcept { return false; }

OrtStatus* ORT_API_CALL GetSupportedDevices(OrtEpFactory* factory,
                                            const OrtHardwareDevice* const* devices, size_t count,
                                            OrtEpDevice** out, size_t room, size_t* made) noexcept {
  const Apis& apis = static_cast<Factory*>(factory)->apis;
  *made = 0;
  for (size_t i = 0; i < count && *made < room; ++i) {
    if (apis.ort->HardwareDevice_Type(devices[i]) != OrtHardwareDeviceType_CPU) continue;
    OrtStatus* const status =
        apis.ep->CreateEpDevice(factory, devices[i], nullptr, nullptr, &out[*made]);
    if (status != nullptr) return status;
    ++*made;
  }
  return nullptr;
}

Result<KeyValues> ReadEntries(const OrtApi& api, const OrtSessionOptions* options) {
  Owned<OrtKeyValuePairs> pairs;
  BCTX_RETURN_IF_ERROR(Make(api, api.GetSessionOptionsConfigEntries, &pairs, options));
  const char* const* keys = nullptr;
  const char* const* values = nullptr;
  size_t count = 0;
  api.GetKeyValuePairs(pairs.get(), &keys, &values, &count);
  KeyValues entries;
  for (size_t i = 0; i < count; ++i) entries[keys[i]] = values[i];
  return entries;
}

Result<KeyValues> ReadOwnEntries(const OrtApi& api, const OrtSessionOptions* options) {
  BCTX_ASSIGN_OR_RETURN(const KeyValues entries, ReadEntries(api, options));
  return OwnEntries(entries, kProviderName);
}

OrtStatus* ORT_API_CALL CreateEp(OrtEpFactory* factory, const OrtHardwareDevice* const*,
                                 const OrtKeyValuePairs* const*, size_t,
                                 const OrtSessionOptions* options, const OrtLogger* logger,
                                 OrtEp** ep) noexcept {
  const Apis& apis = static_cast<Factory*>(factory)->apis;
  return Guarded(*apis.ort, [&]() -> OrtStatus* {
    Result<KeyValues> entries = ReadOwnEntries(*apis.ort, options);
    // A ticket that nobody gave out stays, and is refused as an unknown option.
    std::shared_ptr<Handoff> handoff;
    if (entries && entries->contains(kTicketOption)) {
      handoff = FindHandoff(entries->at(kTicketOption));
      if (handoff) entries->erase(kTicketOption);
    }
    *ep = new Provider(apis, entries, logger, std::move(handoff));
    return nullptr;
  });
}

void ORT_API_CALL ReleaseEp(OrtEpFactory*, OrtEp* ep) noexcept {
  delete static_cast<Provider*>(ep);
}

OrtStatus* ORT_API_CALL CreateAllocator(OrtEpFactory*, const OrtMemoryInfo*,
                                        const OrtKeyValuePairs*,
                                        OrtAllocator** allocator) noexcept {
  *allocator = nullptr;  // ONNX Runtime's own, for the CPU
  return nullptr;
}
void ORT_API_CALL ReleaseAllocator(OrtEpFactory*, OrtAllocator*) noexcept {}

OrtStatus* ORT_API_CALL CreateDataTransfer(OrtEpFactory*, OrtDataTransferImpl** transfer) noexcept {
  *transfer = nullptr;  // nothing to move: the CPU's memory
  return nullptr;
}

Factory::Factory(Apis used) : OrtEpFactory{}, apis(std::move(used)) {
  ort_version_supported = kApiVersion;
  GetName = FactoryName;
  GetVendor = FactoryVendor;
  GetVendorId = FactoryVendorId;
  GetVersion = FactoryVersion;
  OrtEpFactory::GetSupportedDevices = ort::GetSupportedDevices;
  OrtEpFactory::CreateEp = ort::CreateEp;
  OrtEpFactory::ReleaseEp = ort::ReleaseEp;
  OrtEpFactory::CreateAllocator = ort::CreateAllocator;
  OrtEpFactory::ReleaseAllocator = ort::ReleaseAllocator;
  OrtEpFactory::CreateDataTransfer = ort::CreateDataTransfer;
  OrtEpFactory::IsStreamAware = ort::IsStreamAware;
}

}  // namespace
}  // namespace backendctx::ort

extern "C" {

__attribute__((visibility("default"))) OrtStatus* CreateEpFactories(const char*,
                                                                    const OrtApiBase* base,
                                                                    const OrtLogger*,
                                                                    OrtEpFactory** factories,
                                                                    size_t room, size_t* made) {
  namespace ort = backendctx::ort;
  *made = 0;
  const OrtApi* const api = base->GetApi(ort::kApiVersion);
  if (api == nullptr) {
    // Without an API there is no way to make a status; a runtime this old does not get here.
    return nullptr;
  }
  return ort::Guarded(*api, [&]() -> OrtStatus* {
    if (room == 0) return api->CreateStatus(ORT_INVALID_ARGUMENT, "no room for a factory");
    ort::Apis apis{api, api->GetEpApi(), base->GetVersionString()};
    factories[0] = new ort::Factory(std::move(apis));
    *made = 1;
    return nullptr;
  });
}

__attribute__((visibility("default"))) OrtStatus* ReleaseEpFactory(OrtEpFactory* factory) {
  delete static_cast<backendctx::ort::Factory*>(factory);
  return nullptr;
}

}  // extern "C"
