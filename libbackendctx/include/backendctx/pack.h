// Making a package out of an ONNX model.
//
//   PackOptions options;
//   options.key = &key;
//   Result<PackReport> report = Pack("model.onnx", "package.onnx", options);
//
// Pack finds what the backends can take, compiles it for every target, runs each result in a fresh
// process beside its body in ONNX Runtime, signs and writes. Output is complete or absent: the
// container is written first, the fronts last, and an existing output is replaced only with
// `force`.
//
// Errors: Io, Malformed and Unimplemented (the model), InvalidArgument (options), Incompatible
// (require_context and nothing found), Internal.
//
// Threads: Pack compiles on several threads; calls do not share state.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backendctx/encode.h"
#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/status.h"
#include "backendctx/trust.h"

namespace backendctx {

struct BackendRequest {
  std::string name = "cpu-attention";
  std::map<std::string, std::string> options;
};

// What proofs are run with: bctx-run and its like, made with this library.
struct ProofTools {
  std::string folder;       // where the runners are; empty: no context is proved
  std::string ort_library;  // runs the body; empty: no context is proved
  std::map<std::string, std::string> emulators;  // by architecture: "aarch64" -> a program's path
  std::string temporary_folder = "/tmp";
};

struct PackOptions {
  std::vector<BackendRequest> backends{{}};
  std::vector<std::string> targets{"all"};  // "all", "host", or names that a backend lists
  const SigningKey* key = nullptr;          // null: not signed
  std::string name;                         // of the package; empty: the model's file name
  uint64_t sequence = 0;
  FrontEncoding encoding = FrontEncoding::kFunction;
  bool embed = false;  // as in EncodeOptions
  Compression compression;
  bool require_context = false;
  bool force = false;
  // Bodies that ONNX Runtime refuses get a decomposition that it runs; false: they are left alone.
  bool legalize = true;
  bool dry_run = false;                     // everything but writing
  std::string dump_folder;                  // empty, or where backends leave intermediate forms
  std::vector<std::string> plugin_folders;  // empty: the folder of the library
  std::vector<std::string> plugins;         // more, by file
  ProofTools proof;
  std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress;
};

struct TakenRegion {
  std::string partition, graph_path;
  std::string form;  // how attention is written, or "offer": a backend takes these nodes
  std::vector<std::string> backends;
  uint64_t nodes = 0;
  std::string structure_digest;
  std::string attention;  // "4 heads of 64, scale 0.125, causal"; empty for an offer
  std::vector<std::string> inputs, outputs;  // "x float32[batch, length, 64]"
};
struct UntakenRegion {
  std::string graph_path, node, op, reason;
};
// A partition whose function in the front holds our decomposition: ONNX Runtime does not run the
// original nodes. It may have no context.
struct LegalizedRegion {
  std::string partition, graph_path;
  std::vector<std::string> nodes;
  std::string body;  // digest, hexadecimal
};
struct CompiledContext {
  std::string id, partition, backend, target;
  uint64_t blob_bytes = 0;
  double compile_seconds = 0;  // 0 when the code of an equal partition was used again
  manifest::Proof proof;
  double largest_error = 0;  // measured by the proof, relative to the output's scale
  std::string note;          // what its backend says of it; empty: nothing
};
struct PackReport {
  std::string front, container;
  std::vector<std::string> fronts;  // `front` first
  std::vector<TakenRegion> taken;
  std::vector<UntakenRegion> not_taken;
  std::vector<LegalizedRegion> legalized;
  std::vector<UntakenRegion> unrunnable;  // operators that ONNX Runtime refuses in every form
  std::vector<CompiledContext> contexts;
  std::vector<std::string> dropped;   // contexts that ran and were wrong: why
  std::vector<std::string> left_out;  // backends that broke a promise: why
  uint64_t model_bytes = 0;           // graph and tensors, equal ones once
  bool embedded = false;              // the container is a part of the front, `container` is empty
  uint64_t front_bytes = 0, container_bytes = 0;
  uint64_t blob_bytes = 0;  // as stored, a part of container_bytes
  uint64_t distinct_partitions = 0;
};

BCTX_API Result<PackReport> Pack(const std::string& model, const std::string& output,
                                 const PackOptions& options);

}  // namespace backendctx
