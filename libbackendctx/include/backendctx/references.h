// What a model names outside itself: files of external data, and compiled code in EPContext nodes.
//
// EPContext (domain com.microsoft, version 1) is how ONNX Runtime's own providers carry compiled
// code in a model. It has no digest and no fallback body; what it says of itself is passed on here
// and vouched for by nobody.
//
//   Result<ModelReferences> references = ReadReferences("model.onnx");
//   for (const EpContextNode& node : references->ep_contexts) ...
//
// Errors: as those of opening a model (Io, Malformed, UnsafePath, ResourceExhausted). A file that
// is named and missing, or that lies outside the model's folder, is no error: its `state` says so.
//
// Threads: plain values; functions have no shared state.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/status.h"

namespace backendctx {

struct ReferencedFile {
  std::string location;  // as the model has it
  std::string path;      // "" unless the state is "present"
  std::string state;     // "present", "missing", "outside" (not a plain name in the model's folder)
  uint64_t bytes = 0;    // of the file
};

struct EpContextNode {
  std::string node, graph_path;  // its name, else its first output; the graph that holds it
  std::string source;            // which provider made it; "" when it does not say
  std::string partition_name, sdk_version, hardware, notes;
  bool main_context = true;  // no: it shares the code of the main node of its source
  bool embedded = true;      // code inside the node, else in `file`
  uint64_t bytes = 0;        // of the code
  ReferencedFile file;
};

struct ModelReferences {
  std::vector<EpContextNode> ep_contexts;      // in the order of the graphs
  std::vector<ReferencedFile> external_files;  // each once, sorted by location
  // Model metadata "ep_compatibility_info.<provider>": (provider, its text), sorted.
  std::vector<std::pair<std::string, std::string>> ep_compatibility;
};

BCTX_API Result<ModelReferences> ReadReferences(const std::string& model);

}  // namespace backendctx
