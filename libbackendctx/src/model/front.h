// Fronts: `.onnx` files derived from a flat graph, partitions, an encoding and the layout.
//
// EncodeFront is deterministic and pure. DecodeFront reads any front, edited ones too, without its
// weights, and tells what a runtime needs: which container it names, each call of our functions,
// and the structure digest of what that call would run, computed from the front itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "model/flat_model.h"
#include "model/graph_view.h"

namespace backendctx::model {

inline constexpr char kDomain[] = "org.backendctx";
inline constexpr char kFrontProperty[] = "backendctx.front";  // key of the model metadata property
inline constexpr uint32_t kEncoderVersion = 2;

enum class Encoding { kFunction, kMetadata };

// What the metadata property says, as one short JSON object.
struct FrontTag {
  std::string container;  // plain file name; of an embedded one "embedded-<12 hex>.bctx"
  Digest manifest;        // of the manifest's bytes
  uint32_t encoder = kEncoderVersion;
  Encoding encoding = Encoding::kFunction;
  std::string variant = "default";
  std::string embedded;             // the initializer that holds the container; empty: none does
  std::vector<std::string> prefer;  // scopes whose partitions become functions first
};

// One partition as an encoding needs it. Node keys as in the manifest; inputs are activations,
// then weights, then constants. Constants that are copied into bodies (see CallOperands) may be
// named or left out: the front is the same. Of the structure digest they are no part.
struct EncodedPartition {
  std::string id, graph_path, function;
  std::vector<std::string> nodes;
  std::vector<std::string> activations, weights, constants, outputs;
  Digest structure_digest;
  // A serialised FunctionProto that stands in the function encoding for the nodes themselves, with
  // the same formals (model/legalize.h); empty: the nodes.
  std::string legal_body;
};

// Where a tensor's bytes lie in the container; nothing: it stays inside the front.
struct Placement {
  uint64_t offset = 0, length = 0;
};
using Layout = std::function<std::optional<Placement>(const Digest&)>;

// The values of the flat graph that the call of this partition passes, in the order of the
// function's formals: activations, weights, then those constants that become operands. Integer (and
// string) Constant nodes do not: they are copied into the body.
Result<std::vector<std::string>> CallOperands(const FlatModel& flat,
                                              const EncodedPartition& partition);

// In the function encoding a partition that lies inside another one, or in a subgraph of a node of
// another one, becomes a function that the other's body calls.
//
// Errors: InvalidArgument (a partition that is not closed, not convex or not of this graph, or
// partitions that leave a cycle), Unimplemented (a construct that the function encoding cannot
// carry, or partitions that cross, named), ResourceExhausted (a front beyond protobuf's limit).
// Bytes that stay inside are read through the flat model's sources. `container`: the bytes of the
// container that tag.embedded holds, null when it is empty.
Result<std::string> EncodeFront(const FlatModel& flat,
                                const std::vector<EncodedPartition>& partitions,
                                const FrontTag& tag, const Layout& layout,
                                const std::string* container = nullptr);

// What has to be known of a front before there is a container.
struct FrontTensor {
  std::string name;  // of an initializer of the main graph with 128 decoded bytes and more
  Digest digest;
  bool is_mapped = false;  // external data when the container has its bytes: strings are not
};
struct FrontPlan {
  std::vector<FrontTensor> tensors;  // in the front's order
  std::string container_name;        // of the initializer that would hold an embedded container
};
Result<FrontPlan> PlanFront(const FlatModel& flat, const std::vector<EncodedPartition>& partitions,
                            Encoding encoding);

// ---- reading ---------------------------------------------------------------------------------

struct Operand {
  std::string name;
  int32_t element_type = 0;     // 0: not known from the front
  bool is_initializer = false;  // or the output of a Constant node
  std::vector<int64_t> dims;    // of an initializer
  uint64_t size = 0;            // of an initializer, decoded
  std::optional<Placement> placement;
  std::string location;  // external file, empty when inline
  std::string bytes;     // inline bytes under 128
  Digest digest;         // of an initializer that is inline
};

struct Call {
  std::string graph_path, node_name, function;
  std::string partition;             // attribute, as found
  std::string structure_digest_hex;  // attribute, as found
  std::vector<Operand> operands;
  std::vector<std::string> outputs;
  // Of the body that this front would run, constants put back and inner calls inlined; an error
  // when the function is missing or malformed.
  Result<Digest> structure_digest = Status(StatusCode::kInternal, "not computed");
};

struct DecodedFront {
  std::optional<FrontTag> tag;  // nothing: a model that is no front of ours
  // Graph by graph, outermost first, in node order; then those inside functions, as the graphs
  // would have them once the functions around them were inlined.
  std::vector<Call> calls;
  std::vector<std::string> functions;        // names of ours, in order
  std::vector<std::string> model_functions;  // "domain::name" of the others
  int64_t ir_version = 0, opset = 0;         // opset of the default domain, 0: not imported
  uint64_t nodes = 0;                        // of the main graph and its subgraphs
  // Of a front in the metadata encoding: its graphs, in which the manifest's partitions are looked
  // for. What is external has neither bytes nor a digest in it, and no types are inferred.
  std::shared_ptr<const ModelView> view;
  // Of a front whose functions call functions: see InlinedFront.
  Result<std::shared_ptr<const ModelView>> inlined = Status(StatusCode::kNotFound, "not inlined");
  std::string container;  // the embedded container's bytes, when the tag names an initializer
  // A file of external data whose name is that of a container; without a tag, a front that has lost
  // it. Empty: none.
  std::string container_file;
};

// Errors: Malformed (no model, functions of ours that are recursive, twice there, overloaded or
// called from functions of others, calls without an import of our domain, a tag of a wrong form,
// external data of a wrong form), UnsafePath (a location), ResourceExhausted. What is wrong with
// one call alone (its function is missing, its arity differs ...) is in Call::structure_digest.
Result<DecodedFront> DecodeFront(std::span<const uint8_t> front, const LoadLimits& limits);

// The graphs of a front with every call replaced by what it would run, in which partitions without
// a function are looked for. Malformed: functions that define a value twice; else as DecodeFront.
Result<std::shared_ptr<const ModelView>> InlinedFront(std::span<const uint8_t> front,
                                                      const LoadLimits& limits);

// The initializers of a front's main graph, for contents that are inline. Keeps the parsed front.
class FrontInitializers {
 public:
  static Result<FrontInitializers> Parse(std::span<const uint8_t> front, const LoadLimits& limits);
  // Decoded bytes; NotFound for a name that no initializer has, or one whose data are external.
  Result<std::string> Read(const std::string& name) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// The body of a partition as a model of its own, typed where the flat graph's types are known: what
// proofs run and plug-ins are handed. Its inputs are those of CallOperands, in the same order
// (weights and operand constants are inputs too), its outputs those of the partition; both have the
// formals' names.
Result<std::string> BodyModel(const FlatModel& flat, const EncodedPartition& partition);

// The same with weights and constants as initializers: those of `weights` are external data, the
// others inside. Strings stay inputs.
struct WeightPlaces {
  std::string location;                     // of the file, as ONNX names it
  std::map<std::string, uint64_t> offsets;  // by the name that the operand has in the flat graph
};
Result<std::string> BodyModelWithWeights(const FlatModel& flat, const EncodedPartition& partition,
                                         const WeightPlaces& weights);

// The flat graph without the bytes of its weights: each tensor that is kept apart is external data
// in a file `location`, one behind the other, which nobody wrote. Those in attributes and branches
// are inside.
Result<std::string> ModelWithoutWeights(const FlatModel& flat, const std::string& location);

}  // namespace backendctx::model
