// A package, opened for reading: manifest, scopes, contexts, contents, checks, and the model back.
//
// Open reads the front and the container's head, manifest and signatures, and nothing else; it
// checks their structure, digests and signatures. Contents are read and compared with their digests
// when they are asked for. Opens a front (`.onnx`), a bare container (`.bctx`), or a plain ONNX
// model, which has no container and no contexts.
//
//   Result<Package> package = Package::Open("model.onnx", {.trusted_keys = keys});
//   for (const manifest::Scope& scope : package->manifest().scopes) ...
//
// Errors of Open: Io, UnsafePath (the container's name), Malformed, UnsupportedVersion, Corrupt (a
// digest differs, a signature does not verify), ResourceExhausted. An unknown key or a missing
// signature is no error here: see trust(); code of such a package is never handed out.
//
// Threads: an opened Package is immutable and safe from any thread; copies share it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/export.h"
#include "backendctx/manifest.h"
#include "backendctx/selection.h"
#include "backendctx/status.h"
#include "backendctx/trust.h"

namespace backendctx {

struct OpenOptions {
  std::vector<PublicKey> trusted_keys;
  uint64_t front_bytes = (1ull << 31) - 1;
  uint64_t content_bytes = 1ull << 40;
};

enum class SignatureState { kTrusted, kUnknownKey };
struct Signature {
  std::string key;  // id
  SignatureState state = SignatureState::kUnknownKey;
  PublicKey
      public_key{};  // as the package carries it; it verified, and that is no reason to trust it
};

struct Trust {
  std::vector<Signature> signatures;  // every one verified
  bool trusted = false;               // at least one by a trusted key
  std::string reason;  // why not: "signed by key 0123456789abcdef, which is not trusted"
};

// One stored or once stored content, as the index has it.
struct StoredContent {
  std::string kind;     // "manifest", "signatures", "graph", "body", "tensor", "blob"
  std::string storage;  // "raw", "zstd", "inline", "absent" ...
  Digest digest;
  uint64_t offset = 0, stored_size = 0, size = 0;
};

// The tensors of 128 bytes and more of one variant, and what sharing them saves.
struct WeightsSummary {
  uint64_t tensors = 0;        // in the graph, equal ones counted each time
  uint64_t logical_bytes = 0;  // of all of them
  uint64_t stored_bytes = 0;   // after sharing
  uint64_t saved_equal = 0;    // bytes that need not be stored because others are equal
};

// What the front says of one partition.
struct Binding {
  std::string partition;
  std::string stale;  // why the front's body is not what was compiled; empty: it is
};

struct CheckResult {
  std::string name, detail;
  bool ok = true;
};
struct VerifyOptions {
  bool quick = false;  // manifest, front and signatures only
  bool allow_unsigned = false;
  bool require_signed = false;
  bool require_proved = false;
  std::vector<std::string> require_targets{};
  std::function<void(uint64_t done, uint64_t total)> progress{};  // bytes
};
struct VerifyReport {
  std::vector<CheckResult> checks;  // in the order they were made
  Status first_error;               // integrity before trust; ok when every check is
};

class Package {
 public:
  BCTX_API static Result<Package> Open(const std::string& path, const OpenOptions& options);

  BCTX_API bool has_container() const;  // no: a plain ONNX model
  BCTX_API const manifest::Manifest& manifest() const;
  BCTX_API const Digest& manifest_digest() const;
  BCTX_API const Trust& trust() const;
  BCTX_API const std::string& front_path() const;  // "" for a bare container
  // "" for a plain model; the front's own path when the container is embedded in it.
  BCTX_API const std::string& container_path() const;
  BCTX_API bool is_embedded() const;
  BCTX_API uint64_t container_size() const;         // bytes; 0 for a plain model
  BCTX_API const Digest& container_digest() const;  // of header and index
  BCTX_API std::string encoding() const;            // "function", "metadata", "" for none
  BCTX_API int64_t opset() const;
  BCTX_API int64_t ir_version() const;
  BCTX_API const std::vector<Binding>& bindings() const;  // one for each partition
  BCTX_API std::vector<StoredContent> contents() const;

  // Reads the stored graph of a variant ("": the front's).
  BCTX_API Result<WeightsSummary> Weights(const std::string& variant) const;

  // The decoded bytes of a content, compared with its digest. NotFound when absent.
  BCTX_API Result<std::string> ReadContent(const Digest& digest) const;
  // A context's compiled bytes: for reading. NotFound for an unknown id.
  BCTX_API Result<std::string> ContextBytes(const std::string& context) const;

  // Every context's decision. `drivers`: backends whose plug-in is at hand; nothing: all.
  BCTX_API std::vector<Decision> Decide(
      const HostProfile& profile, const Policy& policy,
      const std::optional<std::vector<std::string>>& drivers) const;

  // Checks digests, structure, the front and signatures; integrity is checked to the end before
  // trust is judged.
  BCTX_API VerifyReport Verify(const VerifyOptions& options) const;

  // Writes the model that was packed. An existing file is replaced only with `force`.
  BCTX_API Status Restore(const std::string& output, const std::string& variant, bool force) const;

  struct State;  // known to the library only
  const State& state() const { return *state_; }

 private:
  explicit Package(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace backendctx
