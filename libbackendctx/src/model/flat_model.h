// A flat graph: an ONNX model without our functions, and where its tensors' bytes are.
//
// Load reads a model file and resolves external data beneath its folder (docs/format.md, "Flat
// graph"); nothing larger than kInlineLimit is kept in memory when it lies in another file. The
// stored form is a ModelProto whose tensors of 128 bytes and more are replaced by their digests and
// a word on how they were held; Parse(Stored()) gives the same model back, field by field, order,
// names, doc strings, metadata and unknown fields included.
//
// Errors: Malformed (declared sizes against data, bad wire bytes), UnsafePath (a location that
// leaves the folder), Io (a missing external file), Unimplemented (a construct that cannot be
// packed, named), ResourceExhausted (limits). The text names file, tensor and field.
//
// Threads: immutable after construction.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "model/graph_view.h"

namespace backendctx::model {

struct LoadLimits {
  uint64_t model_bytes = (1ull << 31) - 1;  // protobuf's own
  uint64_t tensor_bytes = 1ull << 40;
  uint32_t graph_depth = kMaxGraphDepth;  // If in If in Loop ...; a larger one changes nothing
};

// Streams the decoded little-endian bytes of one tensor, in pieces.
using BytesSink = std::function<Status(std::span<const uint8_t>)>;
using BytesSource = std::function<Status(const BytesSink&)>;

// One tensor of 128 bytes and more, once for equal bytes.
struct TensorContent {
  Digest digest;
  uint64_t size = 0;
  BytesSource source;
};

// Streams a stored content's bytes: the container, seen from here. That they are those of the
// digest is checked by who keeps them.
using ContentLookup = std::function<Status(const Digest&, const BytesSink&)>;

class FlatModel {
 public:
  static Result<FlatModel> Load(const std::string& path, const LoadLimits& limits);
  // From Stored() bytes. Tensors stay digests; their sources read through `lookup`.
  static Result<FlatModel> Parse(std::span<const uint8_t> stored, ContentLookup lookup,
                                 const LoadLimits& limits);

  const ModelView& view() const;                      // types inferred where onnx can
  const std::vector<TensorContent>& tensors() const;  // sorted by digest
  const Digest& graph_digest() const;                 // docs/format.md, "Graph digest"
  std::string Stored() const;                         // deterministic
  // Unimplemented: domain "org.backendctx" already in use, functions of ours, an opset that is too
  // new. Malformed: what no runtime runs (dangling names, cycles, a value made twice, no import).
  Status CheckPackable() const;

  // Writes the model with its tensors inside, or, when that exceeds protobuf's limit, with the
  // larger ones in PATH.data beside it. The files appear complete or not at all.
  Status WriteModel(const std::string& path, bool force) const;

  struct State;  // holds the messages; known to this folder only
  const State& state() const { return *state_; }

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace backendctx::model
