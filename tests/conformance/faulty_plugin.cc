// The reference backend under another name, with one fault: BCTX_FAULT in the environment says
// which.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "backendctx/plugin_abi.h"

extern "C" const bctx_plugin* reference_plugin(void);

namespace {

const bctx_plugin& kSound = *reference_plugin();

bool Is(const char* fault) {
  const char* chosen = std::getenv("BCTX_FAULT");
  return chosen != nullptr && std::strcmp(chosen, fault) == 0;
}

bctx_code Fail(bctx_error* error, bctx_code code) {
  if (Is("silent")) error->message[0] = '\0';
  if (Is("loud")) std::strcpy(error->message, "Something Went Wrong.");
  return code;
}

// Claims of their own, for release.
struct Claims {
  std::vector<size_t> nodes;
  bctx_claim claim;
  bctx_offer sound;
};

bctx_code Offer(const bctx_offer_request* request, bctx_offer* offer, bctx_error* error) {
  if (Is("offer-throws")) throw std::runtime_error("no licence");
  const bctx_code code = kSound.offer(request, offer, error);
  if (code != BCTX_OK) return Fail(error, code);
  auto* claims = new Claims{{}, {}, *offer};
  if (offer->claim_count != 0) {
    claims->nodes.assign(offer->claims->nodes, offer->claims->nodes + offer->claims->node_count);
  }
  const size_t count = request->graph->node_count;
  if (Is("claims-unoffered")) claims->nodes.push_back(count);
  if (Is("claims-twice")) claims->nodes.push_back(claims->nodes.empty() ? 0 : claims->nodes[0]);
  if (Is("claims-all")) {
    claims->nodes.clear();
    for (size_t i = 0; i < count; ++i) claims->nodes.push_back(i);
  }
  claims->claim = {claims->nodes.data(), claims->nodes.size(), 0};
  offer->claims = &claims->claim;
  offer->claim_count = claims->nodes.empty() ? 0 : 1;
  offer->plugin = claims;
  return BCTX_OK;
}

void ReleaseOffer(bctx_offer* offer) {
  auto* claims = static_cast<Claims*>(offer->plugin);
  kSound.release_offer(&claims->sound);
  delete claims;
}

bctx_code Compile(const bctx_compile_request* request, bctx_blob* blob, bctx_error* error) {
  static uint32_t counter = 1;
  if (Is("compile-throws")) throw std::runtime_error("out of registers");
  if (Is("compile-fails")) return Fail(error, BCTX_INTERNAL);
  bctx_compile_request changed = *request;
  if (Is("any-target") && std::strcmp(request->target, "elsewhere") != 0) {
    changed.target = "reference";
  }
  if (Is("ignores-sizes"))
    changed.struct_size = blob->struct_size = sizeof(*blob) + sizeof(changed);
  const bctx_code code = kSound.compile(&changed, blob, error);
  if (code != BCTX_OK) return Fail(error, code);
  auto* bytes = const_cast<uint8_t*>(blob->bytes.data);
  constexpr size_t kCpus = 20, kVersion = 8;
  if (Is("other-bytes")) bytes[kCpus] = static_cast<uint8_t>(counter++ % 200 + 1);
  if (Is("process-bytes")) {
    bytes[kCpus] = static_cast<uint8_t>(getpid() % 200 + 1);
    blob->label = nullptr;
  }
  if (Is("malformed-blob")) bytes[kVersion] = 9;
  if (Is("empty-blob")) blob->bytes.size = 0;
  if (Is("label")) blob->label = "reference 1 target=nowhere cpus=1";
  return BCTX_OK;
}

bctx_code Load(const bctx_load_request* request, bctx_kernel** kernel, bctx_error* error) {
  const bctx_code code = kSound.load(request, kernel, error);
  if (Is("crashes") && code != BCTX_OK) std::abort();
  return code == BCTX_OK ? code : Fail(error, code);
}

struct Host {
  bctx_run* run;
  float* first = nullptr;
  int64_t elements = 1;
};

void* Output(bctx_run* run, size_t index, const int64_t* dims, int32_t rank) {
  auto* host = static_cast<Host*>(run->host);
  void* memory = host->run->output(host->run, index, dims, rank);
  if (index == 0) {
    host->first = static_cast<float*>(memory);
    for (int32_t i = 0; i < rank; ++i) host->elements *= dims[i];
  }
  return memory;
}

void Parallel(bctx_run* run, size_t count, void (*work)(void*, size_t), void* argument) {
  auto* host = static_cast<Host*>(run->host);
  host->run->parallel(host->run, count, work, argument);
}

bctx_code Run(bctx_kernel* kernel, bctx_run* run, bctx_error* error) {
  Host host{run};
  bctx_run changed = *run;
  changed.output = Output;
  changed.parallel = Parallel;
  changed.host = &host;
  const bctx_code code = kSound.run(kernel, &changed, error);
  if (code != BCTX_OK) return Fail(error, code);
  if (host.elements == 0) return code;
  if (Is("wrong")) host.first[0] += 1;
  if (Is("not-finite")) host.first[0] = 0.F / 0.F;
  if (Is("writes-past")) host.first[host.elements] = 0;
  if (Is("writes-before")) host.first[-1] = 0;
  if (Is("writes-input")) static_cast<float*>(run->inputs[0].data)[0] += 1;
  return code;
}

bctx_code Facts(bctx_sink* sink, bctx_error*) {
  sink->add(sink, "arch", "quantum");
  return BCTX_OK;
}

const bctx_plugin* Table() {
  static bctx_plugin table = [] {
    bctx_plugin made = kSound;
    made.backend = "faulty";
    made.offer = Offer;
    made.release_offer = ReleaseOffer;
    made.compile = Compile;
    made.load = Load;
    made.run = Run;
    made.facts = Is("facts") ? Facts : nullptr;
    if (Is("half-driver")) made.unload = nullptr;
    if (Is("no-name")) made.backend = "";
    return made;
  }();
  return &table;
}

}  // namespace

extern "C" BCTX_PLUGIN_EXPORT const bctx_plugin* bctx_plugin_query(uint32_t max_abi_version) {
  return Is("any-version") || max_abi_version >= BCTX_PLUGIN_ABI_VERSION ? Table() : nullptr;
}
