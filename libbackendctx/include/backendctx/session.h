// A package that runs: opened, verified, decided, lowered in memory and handed to ONNX Runtime.
//
//   SessionOptions options;
//   options.trusted_keys = keys;
//   Result<Session> session = Session::Open("model.onnx", options);
//   Result<std::vector<OutputTensor>> outputs = session->Run({{"x", {1, {1, 64}, data, 256}}});
//   for (const SessionCall& call : session->report().calls) ...
//
// Link `backendctx::session` (libbackendctx_ort.so), which is the provider too. ONNX Runtime itself
// is loaded when a session is opened and never linked; 1.23 and later serve. Drivers are those
// beside libbackendctx_ort.so.
//
// Lowering: a front has functions for as many partitions as fit together; the others, which cross
// those, have to be found again among the nodes that ONNX Runtime has rewritten. Session decides
// first, then writes a front in memory in which what was decided is called, and runs that one. The
// weights stay where they are, in the container. A front that was edited runs as it is.
//
// Errors of Open: those of Package::Open; InvalidArgument (options), Corrupt and Malformed (of
// contents that are checked or loaded), Incompatible and Untrusted (only when strict), Io and
// UnsupportedVersion (ONNX Runtime's library), and what ONNX Runtime says of the model. What is
// incompatible, untrusted, stale or without a driver runs interpreted and is no error.
//
// Threads: Open may be called on several threads. A session is immutable; Run may be called on
// several threads at once; copies share the session. Outputs may outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"
#include "backendctx/selection.h"
#include "backendctx/status.h"
#include "backendctx/trust.h"

namespace backendctx {

// What is compared with its digest: manifest and whatever code is loaded, or every byte.
enum class Integrity { kContexts, kFull };

struct SessionOptions {
  // ONNX Runtime's library, or a folder that has one. Empty: what BACKENDCTX_ORT_LIBRARY names,
  // else libonnxruntime.so* beside libbackendctx_ort.so.
  std::string runtime;
  // `assume_stored` is refused: a session runs what is there.
  Policy policy;
  // Judged instead of this machine; nothing: this machine, with what drivers know of it. A driver
  // refuses code that the processor cannot run whatever the profile says.
  std::optional<HostProfile> profile;
  std::vector<PublicKey> trusted_keys;
  bool trust_folders = true;  // besides: keys in the folders that tools and provider look into
  Integrity integrity = Integrity::kContexts;
  bool strict = false;  // a partition with code that would run interpreted is an error of Open
  bool lower = true;
  int threads = 0;                             // of one operator; 0: as ONNX Runtime chooses
  std::map<std::string, std::string> entries;  // ONNX Runtime's session configuration
};

// Dense elements in row-major order. `element_type`: onnx TensorProto.DataType (1: float32, 7:
// int64 ...); strings and types of less than a byte are not carried. `size`: bytes.
struct TensorView {
  int32_t element_type = 0;
  std::vector<int64_t> dims;
  const void* data = nullptr;
  uint64_t size = 0;
};

struct InputTensor {
  std::string name;
  TensorView tensor;  // read while Run runs, and not kept
};
struct OutputTensor {
  std::string name;
  TensorView tensor;
  std::shared_ptr<const void> owner;  // of what `tensor` shows
};
// Memory of the caller for an output whose shape is known before; `size` as the shape says.
struct OutputBuffer {
  std::string name;
  int32_t element_type = 0;
  std::vector<int64_t> dims;
  void* data = nullptr;
  uint64_t size = 0;
};

// What the model declares. A dimension is known, named or neither (-1, "").
struct ValueInfo {
  std::string name;
  int32_t element_type = 0;  // 0: no tensor
  std::vector<int64_t> dims;
  std::vector<std::string> symbols;
};

// One call of a partition, or its nodes where they were found.
struct SessionCall {
  std::string node, partition;
  std::string context;  // that runs it; empty: its body runs
  std::string reason;   // why its body runs
};

struct SessionReport {
  std::string runtime;              // ONNX Runtime's version
  std::vector<Decision> decisions;  // as `bctx-inspect why` gives them, after ONNX Runtime's word
  std::vector<SessionCall> calls;
  size_t compiled = 0, interpreted = 0;  // of the calls
  std::string declined;                  // why no call was looked at; empty: calls were
  std::string note;
  std::vector<std::string> lowered_for;  // scopes; empty: the front runs as it is
  std::string not_lowered;               // why, where it would have been better
  std::vector<std::string> plugins_left_out;
  std::string json;  // the provider's `report`: schemas/why.schema.json
};

class Session {
 public:
  // A front, or a plain ONNX model, which runs interpreted.
  BCTX_API static Result<Session> Open(const std::string& path, const SessionOptions& options);
  // A front's bytes; its container and other external data are in `folder`.
  BCTX_API static Result<Session> OpenMemory(std::string_view front, const std::string& folder,
                                             const SessionOptions& options);

  BCTX_API const std::vector<ValueInfo>& inputs() const;
  BCTX_API const std::vector<ValueInfo>& outputs() const;
  BCTX_API const SessionReport& report() const;
  // As it was opened. Null for a plain model, or one that is newer than this library.
  BCTX_API const Package* package() const;

  // The outputs that are asked for; the first form: all, in the model's order. InvalidArgument: a
  // name, type, shape or size that is not the model's. Unimplemented: a value that is no tensor of
  // a type that a view carries.
  BCTX_API Result<std::vector<OutputTensor>> Run(const std::vector<InputTensor>& inputs) const;
  BCTX_API Result<std::vector<OutputTensor>> Run(const std::vector<InputTensor>& inputs,
                                                 const std::vector<std::string>& outputs) const;
  // The same into memory of the caller.
  BCTX_API Status RunInto(const std::vector<InputTensor>& inputs,
                          const std::vector<OutputBuffer>& outputs) const;

 private:
  struct Core;
  explicit Session(std::shared_ptr<const Core> core) : core_(std::move(core)) {}
  std::shared_ptr<const Core> core_;
};

}  // namespace backendctx
