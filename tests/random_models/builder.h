// Where a random model grows: names, nodes and tensors of one model under construction.
#pragma once

#include <string>
#include <vector>

#include "onnx/onnx_pb.h"
#include "random_models/generate.h"
#include "random_models/random.h"

namespace backendctx::tests {

// The graph or function body that nodes are added to.
struct Scope {
  onnx::GraphProto* graph = nullptr;        // null in a function
  onnx::FunctionProto* function = nullptr;  // also set in graphs below functions
  std::vector<std::string> values;          // float [2, 5, 16], visible here
  int depth = 0;                            // of graphs

  onnx::NodeProto* AddNode() { return graph ? graph->add_node() : function->add_node(); }
};

class Builder {
 public:
  explicit Builder(uint64_t seed);

  Random& random() { return random_; }
  RandomModel& made() { return made_; }
  onnx::ModelProto& model() { return made_.model; }
  int64_t opset() const { return opset_; }
  int64_t ir() const { return made_.model.ir_version(); }
  void Count(const std::string& construct) { ++made_.constructs[construct]; }

  std::string Name(const std::string& base);
  // One node with one output; named or not.
  onnx::NodeProto* Node(Scope* scope, const std::string& op, const std::vector<std::string>& inputs,
                        const std::string& domain = "");
  std::string Add(Scope* scope, const std::string& op, const std::vector<std::string>& inputs,
                  const std::string& domain = "");
  // A float tensor as a value, in one of many forms: initializer here or at the top, Constant node
  // of every kind, sparse, quantised, another type with a Cast.
  std::string Weight(Scope* scope, const std::vector<int64_t>& dims);
  // Small integers as an initializer or a Constant node.
  std::string Ints(Scope* scope, const std::vector<int64_t>& values, bool scalar = false);
  std::string Float(Scope* scope, float value, bool here = false);
  std::string Bool(Scope* scope, bool value);
  void Import(const std::string& domain, int64_t version);

  static void SetAttribute(onnx::NodeProto* node, const std::string& name, int64_t value);
  static void SetAttribute(onnx::NodeProto* node, const std::string& name, float value);
  static void SetAttribute(onnx::NodeProto* node, const std::string& name,
                           const std::vector<int64_t>& values);
  static onnx::GraphProto* AddGraph(onnx::NodeProto* node, const std::string& name);
  // float [2, 5, 16], or with fewer facts. At the top a dimension may be -1, as Paddle writes it.
  void SetType(onnx::ValueInfoProto* info, const std::string& name, bool top = false);

 private:
  onnx::TensorProto FloatTensor(const std::vector<int64_t>& dims);
  std::string Hold(Scope* scope, onnx::TensorProto tensor, bool here = false);
  std::string ListConstant(Scope* scope, const std::vector<int64_t>& dims);
  std::string Sparse(Scope* scope, const std::vector<int64_t>& dims);
  std::string Quantised(Scope* scope, const std::vector<int64_t>& dims);
  std::string OtherType(Scope* scope, const std::vector<int64_t>& dims);

  Random random_;
  RandomModel made_;
  int64_t opset_ = 0;
  size_t names_ = 0;
  size_t style_ = 0;
};

// Blocks: each takes a value and gives another of the same type.
std::string RandomBlocks(Builder* builder, Scope* scope, std::string value, size_t count);
// After the graph is there: what runtimes ignore, order, external data.
void Decorate(Builder* builder);

}  // namespace backendctx::tests
