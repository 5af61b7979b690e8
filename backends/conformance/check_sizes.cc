// The sizes of structs. A newer host's are larger, and what lies behind the members of version 1
// is none of a plug-in's business; a smaller one is of no version, and is refused.
#include <cstddef>
#include <cstring>

#include "conformance/cases.h"
#include "conformance/checks.h"

namespace backendctx::conformance {
namespace {

// A struct with members of a version to come, all of one byte.
template <typename T>
struct Newer {
  static constexpr unsigned char kByte = 0x5a;
  Newer() {
    std::memset(&value, 0, sizeof(value));
    std::memset(behind, kByte, sizeof(behind));
    value.struct_size = sizeof(*this);
  }
  bool IsUntouched() const {
    for (const unsigned char byte : behind) {
      if (byte != kByte) return false;
    }
    return true;
  }
  T value;
  unsigned char behind[64];
};

struct Request {
  explicit Request(const Taken& taken) : host(*taken.host) {
    compile.value.partition = &host.partition();
    compile.value.target = taken.target.c_str();
  }
  const Host& host;
  Newer<bctx_compile_request> compile;
  Newer<bctx_blob> blob;
  Newer<bctx_error> error;
};

void NewerCompile(const Backend& backend, const Taken& taken, Report* report) {
  Request request(taken);
  const bctx_code code =
      backend.compiler->compile(&request.compile.value, &request.blob.value, &request.error.value);
  report->About("compile with the structs of a newer host");
  ExpectCode(report, code, BCTX_OK, request.error.value);
  if (!request.blob.IsUntouched() || !request.error.IsUntouched()) {
    report->Fail("it wrote behind the members of version 1");
  }
  if (code != BCTX_OK) return;
  const std::string bytes(reinterpret_cast<const char*>(request.blob.value.bytes.data),
                          request.blob.value.bytes.size);
  const bool is_reproducible = (backend.compiler->flags & BCTX_PLUGIN_REPRODUCIBLE) != 0;
  if (is_reproducible && bytes != Compile(backend, *taken.host, taken.target).bytes) {
    report->Fail("it gave another blob");
  }
  backend.compiler->release_blob(&request.blob.value);
}

// The struct_size of each in turn is that of no version.
void ShortCompile(const Backend& backend, const Taken& taken, Report* report) {
  for (int which = 0; which < 2; ++which) {
    Request request(taken);
    if (which == 0) request.compile.value.struct_size = sizeof(uint32_t);
    if (which == 1) request.blob.value.struct_size = sizeof(uint32_t);
    report->About(which == 0 ? "compile with a request that ends after its size"
                             : "compile with a blob that ends after its size");
    const bctx_code code = backend.compiler->compile(&request.compile.value, &request.blob.value,
                                                     &request.error.value);
    ExpectFailure(report, code, request.error.value);
    if (which == 1 && request.blob.value.bytes.data != nullptr) {
      report->Fail("it wrote behind the size that it was given");
    }
  }
}

// An error of few bytes, or none at all.
void ShortError(const Backend& backend, const Taken& taken, Report* report) {
  report->About("an unknown target and an error with little room");
  Request request(taken);
  request.compile.value.target = "no-such-target";
  const size_t room = 8;
  std::memset(request.error.value.message, 0x5a, sizeof(request.error.value.message));
  request.error.value.struct_size = offsetof(bctx_error, message) + room;
  const bctx_code code =
      backend.compiler->compile(&request.compile.value, &request.blob.value, &request.error.value);
  if (code == BCTX_OK) report->Fail("it said ok, expected a failure");
  for (size_t i = room; i < sizeof(request.error.value.message); ++i) {
    if (request.error.value.message[i] == 0x5a) continue;
    report->Fail("it wrote behind the room for the message");
    break;
  }
}

void NewerOffer(const Backend& backend, Report* report) {
  const bctx_plugin* table = backend.With(&bctx_plugin::offer);
  if (table == nullptr) return;
  const Host host(Cases().front());
  for (const bool is_short : {false, true}) {
    report->About(is_short ? "offer with a struct that ends after its size"
                           : "offer with the structs of a newer host");
    Newer<bctx_offer_request> request;
    Newer<bctx_offer> offer;
    ErrorBuffer error;
    request.value.graph = &host.graph();
    if (is_short) offer.value.struct_size = sizeof(uint32_t);
    const bctx_code code = table->offer(&request.value, &offer.value, error.get());
    if (!offer.IsUntouched()) report->Fail("it wrote behind the members of version 1");
    if (is_short) {
      ExpectFailure(report, code, error.error);
      if (offer.value.claims != nullptr) report->Fail("it wrote behind the size that it was given");
      continue;
    }
    ExpectCode(report, code, BCTX_OK, error.error);
    if (code == BCTX_OK) table->release_offer(&offer.value);
  }
}

void ShortLoad(const Backend& backend, const Taken& taken, Report* report) {
  for (const bool is_short : {false, true}) {
    report->About(is_short ? "load with a request that ends after its size"
                           : "load with the request of a newer host");
    Newer<bctx_load_request> request;
    Newer<bctx_error> error;
    std::vector<bctx_key_value> options;
    for (const auto& [key, value] : taken.blob.options) {
      options.push_back({key.c_str(), value.c_str()});
    }
    const std::vector<bctx_bound_weight> weights = taken.host->BoundWeights();
    const std::string file = taken.host->table().empty() ? "" : taken.host->WeightFile();
    const std::string& bytes = taken.blob.bytes;
    bctx_load_request& load = request.value;
    load.blob = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
    load.entry = taken.blob.entry.c_str();
    load.options = options.data();
    load.option_count = options.size();
    load.weights = weights.data();
    load.weight_count = weights.size();
    load.weight_file = file.empty() ? nullptr : file.c_str();
    load.threads = 1;
    load.input_count = taken.host->partition().input_count;
    load.output_count = taken.host->partition().output_count;
    if (is_short) load.struct_size = sizeof(uint32_t);
    bctx_kernel* kernel = nullptr;
    const bctx_code code = backend.driver->load(&load, &kernel, &error.value);
    if (!error.IsUntouched()) report->Fail("it wrote behind the error of version 1");
    if (is_short) {
      ExpectFailure(report, code, error.value);
    } else {
      ExpectCode(report, code, BCTX_OK, error.value);
      if (code == BCTX_OK) backend.driver->unload(kernel);
    }
  }
}

}  // namespace

void CheckSizes(const Backend& backend, Report* report) {
  NewerOffer(backend, report);
  if (backend.compiler == nullptr) return;
  const std::vector<Taken> all = CompileAll(backend, report, 1);
  if (all.empty()) return report->Skip("it takes none of the models");
  NewerCompile(backend, all.front(), report);
  ShortCompile(backend, all.front(), report);
  ShortError(backend, all.front(), report);
  if (backend.driver == nullptr) return;
  for (const Taken& taken : CompileForHere(backend, report, Enough(backend))) {
    return ShortLoad(backend, taken, report);
  }
}

}  // namespace backendctx::conformance
