// What is known of every value of a graph: element type, shape and, for small integer tensors (the
// shapes that exporters compute), the elements themselves, all in terms of the model's symbols.
//
// The facts follow the operators (shape_rules.cc) from the declared inputs; what onnx's inference
// found is used where these rules know less. Values of operators that nobody knows are new
// unknowns.
//
// Threads: not to be shared.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/graph_view.h"
#include "patterns/expr.h"

namespace backendctx::patterns {

// onnx TensorProto.DataType, as far as patterns tell types apart.
enum ElementType : int32_t {
  kUnknownType = 0,
  kFloat = 1,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11
};

struct Fact {
  int32_t type = kUnknownType;
  bool ranked = false;
  std::vector<Expr> dims;
  // Elements in order, of integer and bool tensors of at most kMaxElements; an element may be
  // unknown by itself. `floats` only where all are known.
  std::optional<std::vector<std::optional<Expr>>> ints;
  std::optional<std::vector<float>> floats;

  size_t rank() const { return dims.size(); }
  bool AllUnit() const;  // ranked, and one element
};
inline constexpr size_t kMaxElements = 64;

// "float16", "not known".
std::string TypeName(int32_t type);

class Facts {
 public:
  // Evaluates `graph` and the graphs around it.
  Facts(const model::ModelView& model, const model::GraphView& graph);

  const Fact& Of(const std::string& value) const;  // an empty fact for names that nobody defines
  Symbols& symbols() { return symbols_; }
  const Symbols& symbols() const { return symbols_; }
  int64_t opset() const { return opset_; }

  // An operator of the standard, not a function of the model's own by that name.
  bool IsStandard(const model::Node& node) const;
  bool Is(const model::Node& node, const char* op_type) const {
    return node.op_type == op_type && IsStandard(node);
  }
  // An operator of ONNX Runtime's own domain, by the same rule.
  bool IsMicrosoft(const model::Node& node, const char* op_type) const;
  // The value of a float tensor with one element, computed ones too.
  std::optional<float> Scalar(const std::string& value) const;
  std::optional<std::vector<int64_t>> Ints(const std::string& value) const;  // all constant

 private:
  void Evaluate(const model::GraphView& graph);
  void EvaluateNode(const model::GraphView& graph, const model::Node& node);
  void Define(const model::GraphView& graph, const std::string& value, Fact fact);
  Fact Declared(const model::ValueType& type, bool of_input);

  Symbols symbols_;
  int64_t opset_ = 0;
  std::unordered_set<std::string> overridden_;  // "domain::operator" that the model defines itself
  std::unordered_map<std::string, Fact> facts_;
};

// "x is not a float tensor", or that its type is not known.
std::string NotFloat(const Facts& facts, const std::string& value);

// The nodes of a graph, producers before consumers, whatever order the model has them in. Nodes on
// a cycle are left out.
std::vector<size_t> TopologicalOrder(const model::GraphView& graph);

}  // namespace backendctx::patterns
