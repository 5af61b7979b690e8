// A graph as plain structs: what patterns, scope and the structure digest read instead of protobuf.
//
// A view is made once from a flat model (graph_view_builder.cc is the only place that turns ONNX
// messages into it) and never edited; edits are described by plans (scope) and applied to the
// messages by this folder. Nodes, initializers and values keep the order and the names of the
// model. A value is named; names are unique within one graph and may be captured by its subgraphs,
// as in ONNX.
//
// Threads: immutable after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace backendctx::model {

// One dimension: value >= 0, or unknown (-1), perhaps with a name. Two unknown dimensions are the
// same only when both carry the same non-empty symbol.
struct Dim {
  int64_t value = -1;
  std::string symbol;
  bool operator==(const Dim&) const = default;
};

struct ValueType {
  int32_t element_type = 0;  // onnx TensorProto.DataType; 0: not known
  bool has_shape = false;
  std::vector<Dim> dims;
};

// A constant: an initializer, or the tensor of a Constant node. `bytes` are the decoded
// little-endian elements of small ones (under 128 bytes) and empty for the rest.
struct TensorInfo {
  int32_t element_type = 0;
  std::vector<int64_t> dims;
  uint64_t size = 0;   // bytes, decoded
  std::string digest;  // 32 raw bytes: SHA-256 of the decoded little-endian elements
  std::string bytes;   // only when size < kInlineLimit
};
inline constexpr uint64_t kInlineLimit = 128;

// How a string element is written in decoded bytes: its length as 8 bytes, little endian, then it.
void AppendStringElement(const std::string& element, std::string* bytes);

struct GraphView;

struct Attribute {
  enum class Kind { kFloat, kInt, kString, kTensor, kGraph, kFloats, kInts, kStrings, kOther };
  std::string name;
  Kind kind = Kind::kOther;
  std::vector<float> floats;         // kFloat: one
  std::vector<int64_t> ints;         // kInt: one
  std::vector<std::string> strings;  // kString: one
  std::shared_ptr<const TensorInfo> tensor;
  std::shared_ptr<const GraphView> graph;
  std::string canonical;  // kOther (type protos, lists of tensors or graphs ...): canonical bytes
};

struct Node {
  std::string name, op_type, domain;         // domain "" for ai.onnx
  std::vector<std::string> inputs, outputs;  // "" = absent
  std::vector<Attribute> attributes;

  const Attribute* Find(const std::string& attribute) const;
  int64_t Int(const std::string& attribute, int64_t otherwise) const;
  float Float(const std::string& attribute, float otherwise) const;
  // The identity within its graph: the first output that has a name.
  const std::string& Key() const;
};

// The tensor of a Constant node, whichever attribute holds it; none for other nodes and for sparse
// values.
std::optional<TensorInfo> ConstantNodeTensor(const Node& node);

struct GraphView {
  // Where the graph is: "" for the top level, else "/KEY.attribute" per step, KEY the node's Key().
  std::string path;
  const GraphView* parent = nullptr;
  std::vector<Node> nodes;
  std::vector<std::string> inputs, outputs;
  std::vector<std::string> initializer_order;
  std::unordered_map<std::string, TensorInfo> initializers;
  // Declared and inferred types of this graph's values; a value without an entry is unknown.
  std::unordered_map<std::string, ValueType> types;
  std::unordered_map<std::string, size_t> producer;                // value -> node
  std::unordered_map<std::string, std::vector<size_t>> consumers;  // value -> nodes, each once; a
                                                                   // node counts for what its
                                                                   // subgraphs capture
  std::unordered_map<std::string, bool> is_input, is_output;
  bool sorted = false;  // known to be in topological order: no node reads what a later one makes

  // The constant that a value is: an initializer that is no graph input, or a Constant node's
  // tensor (value, value_int, value_float, value_ints, value_floats), here or in a parent.
  std::optional<TensorInfo> Constant(const std::string& value) const;
  const ValueType* Type(const std::string& value) const;  // null: not known; looks in parents too
};

// Graphs below graphs. Every walk recurses as deep, so this is what a thread's stack holds.
inline constexpr uint32_t kMaxGraphDepth = 64;

// Movable, not copyable: graphs point at their parents.
struct ModelView {
  ModelView() = default;
  ModelView(ModelView&& other) noexcept;
  ModelView& operator=(ModelView&& other) noexcept;

  int64_t ir_version = 0;
  std::vector<std::pair<std::string, int64_t>> opsets;  // as imported, "ai.onnx" as ""
  int64_t Opset(const std::string& domain) const;       // 0: not imported; the last if repeated
  std::vector<std::string> local_functions;             // "domain::name"
  // The body of each, without types; null where it could not be read. For reports only.
  std::vector<std::shared_ptr<const GraphView>> function_bodies;
  GraphView graph;
};

// Every graph of the model, outermost first, depth first in node and attribute order.
std::vector<const GraphView*> AllGraphs(const ModelView& model);
// The same of one graph and what is inside it.
std::vector<const GraphView*> AllGraphs(const GraphView& graph);

}  // namespace backendctx::model
