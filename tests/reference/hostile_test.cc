// Broken blobs of the reference backend. Its blobs are data, so what still loads is also run.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "blob.h"
}

#include "conformance/cases.h"
#include "conformance/checks.h"

namespace backendctx::conformance {
namespace {

const Backend kReference{reference_plugin(), reference_plugin()};

const Model& Named(const std::string& name) {
  for (const Model& model : Cases()) {
    if (model.name == name) return model;
  }
  throw std::runtime_error("no case " + name);
}

Blob Made(const Host& host, const std::string& weights) {
  const Blob blob = Compile(kReference, host, "reference", {{"weights", weights}});
  REQUIRE(blob.code == BCTX_OK);
  return blob;
}

// Loads, and runs what loads: whatever comes out, nothing outside of its memory is touched.
bctx_code LoadAndRun(const Host& host, const Blob& blob) {
  const Kernel kernel(kReference, host, blob);
  if (kernel.code != BCTX_OK) {
    CHECK(std::string(kernel.error.error.message) != "");
    return kernel.code;
  }
  const auto run = RunKernel(kReference, kernel, host, RandomInputs(host.model(), 1), {});
  CHECK(run->wrong == "");
  return BCTX_OK;
}

size_t DataBytes(const Blob& blob) {
  header head;
  std::memcpy(&head, blob.bytes.data(), sizeof(head));
  return static_cast<size_t>(head.data_bytes);
}

TEST_CASE("every byte of a blob may be any other without harm", "[reference][hostile]") {
  const bool is_long = std::getenv("BCTX_TEST_LONG") != nullptr;
  for (const char* name : {"layers", "elementwise", "several-outputs", "attention-mask"}) {
    const Host host(Named(name));
    for (const char* weights : {"embedded", "inputs", "refit", "offset"}) {
      INFO(name << " " << weights);
      const Blob sound = Made(host, weights);
      REQUIRE(LoadAndRun(host, sound) == BCTX_OK);
      // Any four bytes are a float, so of the data a few will do.
      const size_t program = sound.bytes.size() - DataBytes(sound);
      const size_t end = is_long ? sound.bytes.size() : std::min(sound.bytes.size(), program + 16);
      size_t refused = 0;
      for (size_t at = 0; at < end; ++at) {
        for (const int change : {0xff, 0x01, 0x80}) {
          Blob altered = sound;
          altered.bytes[at] = static_cast<char>(altered.bytes[at] ^ change);
          refused += LoadAndRun(host, altered) == BCTX_OK ? 0 : 1;
        }
      }
      CHECK(refused > sizeof(header));
    }
  }
}

TEST_CASE("a blob that was cut or has more behind it is malformed", "[reference][hostile]") {
  const Host host(Named("layers"));
  const Blob sound = Made(host, "embedded");
  for (size_t size = 0; size < sound.bytes.size(); ++size) {
    Blob cut = sound;
    cut.bytes.resize(size);
    REQUIRE(LoadAndRun(host, cut) == BCTX_MALFORMED);
  }
  Blob longer = sound;
  longer.bytes += '\0';
  CHECK(LoadAndRun(host, longer) == BCTX_MALFORMED);
}

TEST_CASE("each number of a blob is refused with what is wrong", "[reference][hostile]") {
  const Host host(Named("layers"));
  const Blob sound = Made(host, "embedded");
  const size_t constants = sizeof(header);
  const size_t instructions = constants + 4 * sizeof(constant);
  const size_t outputs = instructions + 5 * sizeof(instruction);
  struct Row {
    size_t at;
    uint32_t value;
    bctx_code code;
    std::string text;
  };
  const Row rows[] = {
      {0, 0, BCTX_MALFORMED, "no blob of version 1"},
      {offsetof(header, version), 2, BCTX_MALFORMED, "no blob of version 1"},
      {offsetof(header, weights), 5, BCTX_MALFORMED, "the header has impossible numbers"},
      {offsetof(header, target), 2, BCTX_MALFORMED, "the header has impossible numbers"},
      {offsetof(header, target), 1, BCTX_INCOMPATIBLE, "the blob is for target elsewhere"},
      {offsetof(header, cpus), 0, BCTX_MALFORMED, "the header has impossible numbers"},
      {offsetof(header, inputs), 4, BCTX_MALFORMED, "the blob is of another partition or entry"},
      {offsetof(header, constants), 5, BCTX_MALFORMED, "found "},
      {offsetof(header, instructions), UINT32_MAX, BCTX_MALFORMED, "the header has impossible"},
      {offsetof(header, data_bytes), 0, BCTX_MALFORMED, "found "},
      {constants + offsetof(constant, where), 3, BCTX_MALFORMED, "constant 0: impossible place"},
      {constants + offsetof(constant, where), kRefit, BCTX_MALFORMED, "constant 0: impossible pl"},
      {constants + offsetof(constant, rank), 9, BCTX_MALFORMED, "constant 0: impossible shape"},
      {constants + offsetof(constant, dims) + 4, 1 << 30, BCTX_MALFORMED, "constant 0: impossible"},
      {constants + offsetof(constant, dims), 4000, BCTX_MALFORMED, "constant 0: reaches beyond"},
      {constants + offsetof(constant, data_offset), 2, BCTX_MALFORMED, "constant 0: reaches bey"},
      {instructions, kErf + 1, BCTX_MALFORMED, "instruction 0: impossible"},
      {instructions + offsetof(instruction, a), 9, BCTX_MALFORMED, "instruction 0: impossible"},
      {outputs, 0, BCTX_MALFORMED, "output 0: impossible"},
      {outputs, 14, BCTX_MALFORMED, "output 0: impossible"},
  };
  for (const Row& row : rows) {
    INFO(row.at << " " << row.text);
    Blob altered = sound;
    std::memcpy(altered.bytes.data() + row.at, &row.value, sizeof(row.value));
    const Kernel kernel(kReference, host, altered);
    CHECK(kernel.code == row.code);
    CHECK_THAT(kernel.error.error.message, Catch::Matchers::StartsWith(row.text));
  }
  CHECK(LoadAndRun(host, sound) == BCTX_OK);
}

TEST_CASE("weights that are not where the blob looks for them are refused",
          "[reference][hostile]") {
  const Host host(Named("layers"));
  const auto load = [&](const char* weights, const auto& spoil) {
    const Blob blob = Made(host, weights);
    std::vector<bctx_bound_weight> bound = host.BoundWeights();
    const std::string file = host.WeightFile();
    bctx_load_request request{};
    request.struct_size = sizeof(request);
    request.blob = {reinterpret_cast<const uint8_t*>(blob.bytes.data()), blob.bytes.size()};
    request.entry = blob.entry.c_str();
    request.weights = bound.data();
    request.weight_count = bound.size();
    request.weight_file = file.c_str();
    request.threads = 1;
    request.input_count = host.partition().input_count;
    request.output_count = host.partition().output_count;
    spoil(&request, &bound);
    bctx_kernel* kernel = nullptr;
    ErrorBuffer error;
    const bctx_code code = reference_plugin()->load(&request, &kernel, error.get());
    if (code == BCTX_OK) reference_plugin()->unload(kernel);
    return std::pair(code, std::string(error.error.message));
  };
  using Bound = std::vector<bctx_bound_weight>;
  const auto nothing = [](bctx_load_request*, Bound*) {};
  CHECK(load("refit", nothing).first == BCTX_OK);
  CHECK(load("offset", nothing).first == BCTX_OK);
  const auto none = [](bctx_load_request* request, Bound*) { request->weight_count = 0; };
  const std::pair<bctx_code, std::string> absent{BCTX_MALFORMED,
                                                 "constant 0: its weight is not in the table"};
  CHECK(load("refit", none) == absent);
  CHECK(load("offset", none) == absent);
  CHECK(load("refit", [](bctx_load_request*, Bound* bound) { (*bound)[0].size -= 4; }) == absent);
  const auto no_file = [](bctx_load_request* request, Bound*) { request->weight_file = nullptr; };
  CHECK(load("offset", no_file).first == BCTX_INCOMPATIBLE);
  for (const uint64_t place : {uint64_t{2}, UINT64_MAX - 3, uint64_t{1} << 40}) {
    const auto elsewhere = [&](bctx_load_request*, Bound* bound) {
      (*bound)[0].file_offset = place;
    };
    CHECK(load("offset", elsewhere) ==
          std::pair<bctx_code, std::string>{BCTX_INCOMPATIBLE,
                                            "constant 0: not where it can be read"});
  }
}

}  // namespace
}  // namespace backendctx::conformance
