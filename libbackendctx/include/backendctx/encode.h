// Fronts of a package, written anew from the same contents.
//
//   Result<Package> package = Package::Open("model.onnx", {.trusted_keys = keys});
//   EncodeOptions options;
//   options.encoding = FrontEncoding::kMetadata;
//   Result<EncodeReport> report = Encode(*package, "flat.onnx", options);
//
// A front is derived: it follows from the stored graph, the manifest's partitions, an encoding and
// the places of contents (docs/format.md, "Fronts"). Encode therefore changes nothing that is
// signed: manifest, signatures and every digest stay, and encoding back gives the same bytes.
//
// Errors: InvalidArgument (options, an output that is a part of the package or exists), NotFound (a
// variant), Malformed (no package, partitions that are none), Corrupt (contents that differ from
// their digests), Unimplemented (what the function encoding cannot carry), Io.
//
// Threads: calls do not share state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"
#include "backendctx/status.h"

namespace backendctx {

// kFunction: each partition is a call of a function of the front. kMetadata: the front is the flat
// graph, and only the manifest knows the partitions. kBoth: NAME.onnx and NAME.flat.onnx, a front
// of each, on one container.
enum class FrontEncoding { kFunction, kMetadata, kBoth };

// Of compiled code and of those tensors that no front maps.
struct Compression {
  bool zstd = false;
  int level = 3;  // 1 to 19
};

struct EncodeOptions {
  FrontEncoding encoding = FrontEncoding::kFunction;
  // One file: weights are ordinary initializers of the front, and the container is one more. Only
  // with FrontEncoding::kFunction; ResourceExhausted beyond protobuf's 2^31 - 1 bytes.
  bool embed = false;
  std::optional<Compression> compression;  // nothing: each content as it is held
  // Names of scopes, the preferred one first: where partitions overlap, whose become functions.
  std::vector<std::string> prefer;
  std::string variant;  // whose front; empty: that of the package as it was opened
  bool force = false;   // replace existing outputs
};

// A partition that crosses others: it has no function in the front and is found at load among the
// nodes, where the manifest says it is.
struct LeftOut {
  std::string partition, reason;
};

struct EncodeReport {
  std::vector<std::string> fronts;  // paths, the output as it was named first
  std::string container;            // path; empty when it is embedded
  uint64_t front_bytes = 0;         // of all fronts, an embedded container included
  uint64_t container_bytes = 0;
  std::vector<LeftOut> left_out;  // of the front with functions, if one was written
};

BCTX_API Result<EncodeReport> Encode(const Package& package, const std::string& output,
                                     const EncodeOptions& options);

}  // namespace backendctx
