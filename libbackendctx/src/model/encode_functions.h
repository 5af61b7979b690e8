// Partitions as functions of a front. Internal to model.
//
// Each becomes a function and one call in the place of its nodes. A partition inside another one is
// called by the other's body, and one in a subgraph of another's node by that subgraph in the body;
// so functions are made from the inside out, each from what those inside have left.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/front.h"
#include "model/function_body.h"
#include "model/hoist.h"
#include "model/state.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

class FunctionEncoder {
 public:
  // `front` is a copy of the stored graph.
  FunctionEncoder(const FlatModel::State& state, const FrontTag& tag, onnx::ModelProto* front)
      : state_(state), tag_(tag), front_(*front) {}

  Status Run(const std::vector<EncodedPartition>& partitions);

  // Constant nodes that calls pass: they must become initializers.
  const ConstantSet& hoisted() const { return hoisted_; }

 private:
  struct Placed {
    const EncodedPartition* partition = nullptr;
    Body body;
    size_t depth = 0;               // of its graph
    std::vector<size_t> functions;  // those that its body calls, themselves or in subgraphs
  };
  // What is left of a graph's nodes: by place, a call at that of its first node.
  using Items = std::map<size_t, onnx::NodeProto>;

  Status FindNesting();
  Status AddInside(size_t inner, size_t outer);
  std::vector<size_t> InsideOut() const;
  Status Overlap(size_t a, size_t b) const;
  void NoteConstants();
  void TakeNodes(const std::string& path, Items* items);
  Status PutBack(const std::string& path, Items* items);
  Status Replace(Placed* placed, Items* items);
  Status FillBody(std::vector<onnx::NodeProto> nodes, Placed* placed);
  onnx::NodeProto Call(const Placed& placed);
  void AddContainerInput(onnx::FunctionProto* function) const;
  Status AddFunctions();
  void AddImports();
  void DropUnread();

  const FlatModel::State& state_;
  const FrontTag& tag_;
  onnx::ModelProto& front_;
  std::vector<Placed> placed_;
  std::map<std::string, onnx::GraphProto*> protos_;
  NameSet node_names_;
  ConstantSet hoisted_, copied_;
};

}  // namespace backendctx::model
