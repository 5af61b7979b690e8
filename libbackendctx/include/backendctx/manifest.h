// What a package says of itself, under the signature: the manifest as plain structs.
//
// docs/format.md and schemas/backendctx.proto are the standard; these are the same things in C++,
// words as there. Ids are unique in a package; lists keep the order of the file.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/export.h"

namespace backendctx::manifest {

inline constexpr uint32_t kFormatMajor = 0;
inline constexpr uint32_t kFormatMinor = 2;

struct KeyValue {
  std::string key, value;
  auto operator<=>(const KeyValue&) const = default;
};

// Everything stored or once stored: tensors, blobs, graphs, bodies. By digest of decoded bytes.
enum class ContentKind : uint8_t { kGraph = 1, kBody = 2, kTensor = 3, kBlob = 4 };
struct Content {
  ContentKind kind = ContentKind::kTensor;
  Digest digest;
  uint64_t size = 0;
};

struct Variant {
  std::string name;     // "default"
  Digest graph;         // content: the stored flat graph
  Digest graph_digest;  // its meaning, storage left out (docs/format.md, "Graph digest")
};

enum class ValueRole : uint8_t { kActivation = 1, kWeight = 2, kConstant = 3 };
struct Dim {
  int64_t value = -1;  // -1: known at run time
  std::string symbol;
};
struct BoundaryValue {
  std::string name;
  ValueRole role = ValueRole::kActivation;
  int32_t element_type = 0;  // onnx TensorProto.DataType, 0: not declared
  bool has_shape = false;
  std::vector<Dim> dims;
  std::optional<Digest> content;          // a weight's or constant's decoded bytes
  std::vector<std::string> equal_values;  // values of the same graph proved structurally equal
};

struct Partition {
  std::string id;  // unique in the package, [a-z0-9-]
  std::string variant;
  std::string graph_path;             // "" top level; docs/format.md, "Graph paths"
  std::vector<std::string> nodes;     // keys, in the flat graph's order
  std::vector<BoundaryValue> inputs;  // activations, weights, constants, in this order
  std::vector<BoundaryValue> outputs;
  std::string function;  // name of the function that encodes it
  Digest structure_digest;
  std::optional<Digest> body;  // content: the legalised body
  std::optional<Digest> body_structure_digest;
};

// What the host profile must have under a key; docs/format.md, "Predicates".
enum class Predicate : uint8_t {
  kEquals = 1,
  kOneOf = 2,
  kContainsAll = 3,
  kAtLeast = 4,
  kInRange = 5,         // an integer; values are bounds as ">=1", "<=512", all of which hold
  kVersionInRange = 6,  // a version; values are bounds as ">=2026.4", "<2026.5"
  kMultipleOf = 7,      // an integer
  kVendorString = 8     // values[0] is the vendor's own, which its plug-in judges
};
struct Requirement {
  std::string key;
  uint32_t predicate = 0;  // Predicate; other numbers are kept and judged unsupported
  std::vector<std::string> values;
  bool preferred = false;  // not met: runs all the same, a new compile would be better
  bool operator==(const Requirement&) const = default;
};

enum class WeightsKind : uint8_t { kNone = 0, kEmbedded = 1, kInputs = 2, kRefit = 3, kOffset = 4 };

struct Proof {
  bool passed = false;
  Digest cases;          // when passed: digest of the cases that were run
  double tolerance = 0;  // when passed: relative to the output's scale
  std::string reason;    // when not run
};

struct Context {
  std::string id;
  std::string partition;
  std::string backend;
  std::string target;
  Digest blob;  // content
  std::string entry;
  std::vector<Requirement> requirements;
  std::vector<KeyValue> options;  // the whole map, sorted by key
  std::string compiler, compiler_version;
  WeightsKind weights = WeightsKind::kNone;
  std::vector<Digest> weight_digests;  // ordered; where the blob embeds, refits or points at them
  Proof proof;
};

struct Scope {
  std::string name, backend, variant;
  std::vector<std::string> contexts;
};

enum class AliasMode : uint8_t { kAppend = 1, kScatterLinear = 2, kScatterCircular = 3 };
struct Alias {
  std::string input, output;
  int32_t axis = 0;
  AliasMode mode = AliasMode::kAppend;
  std::string index_input, layout;
};

struct Manifest {
  uint32_t format_major = kFormatMajor, format_minor = kFormatMinor;
  std::vector<std::string> required_features;
  std::string name;       // of the package, for pinning
  uint64_t sequence = 0;  // grows with every release of the same name
  std::string producer;   // "bctx-pack 0.1.0"
  std::vector<Content> contents;
  std::vector<Variant> variants;
  std::vector<Partition> partitions;
  std::vector<Context> contexts;
  std::vector<Scope> scopes;
  std::vector<Alias> aliases;

  // Null when there is none of that name.
  BCTX_API const Partition* FindPartition(const std::string& id) const;
  BCTX_API const Context* FindContext(const std::string& id) const;
  BCTX_API const Variant* FindVariant(const std::string& name) const;
};

}  // namespace backendctx::manifest
