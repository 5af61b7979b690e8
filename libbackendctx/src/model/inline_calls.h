// Calls of our functions replaced by the nodes that they would run. Internal to model.
//
// Fronts are what anybody may have written: what grows too large or nests too deep is an error, a
// call that cannot be replaced stays. Inner values keep their names where no other has them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backendctx/status.h"
#include "model/visit.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// The functions of our domain; none is recursive.
using FunctionIndex = std::map<std::string, const onnx::FunctionProto*>;

// The function that the node calls; null: none of ours, or one of another arity.
const onnx::FunctionProto* Callee(const FunctionIndex& functions, const onnx::NodeProto& node);

struct MetCall {
  onnx::NodeProto node;  // its operands and outputs as the graph calls them
  std::string graph_path;
};

class CallInliner {
 public:
  // `most_bytes`: of all nodes that are put in the place of calls.
  CallInliner(const FunctionIndex& functions, uint64_t most_bytes)
      : functions_(functions), left_(most_bytes) {}

  // A body without calls. Malformed: a function that it calls imports another version of a domain.
  Result<onnx::FunctionProto> Flatten(const onnx::FunctionProto& function);

  // The main graph and those below it. Adds the calls that are met inside bodies to `inner`.
  Status Flatten(onnx::GraphProto* graph, std::vector<MetCall>* inner);

  // Whether a value got another name, so that names no longer say which one is meant.
  bool renamed() const { return renamed_; }

 private:
  struct Open {
    onnx::NodeProto node;
    bool in_body = false;
  };
  struct Level {
    std::string path;
    size_t depth = 0;
    bool in_body = false;
    NameSet defined;
  };

  Status FlattenGraph(onnx::GraphProto* graph, Level level, std::vector<MetCall>* inner);
  Status FlattenNodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>* nodes, Level* level,
                      std::vector<MetCall>* inner);
  Status Expand(const onnx::NodeProto& call, const onnx::FunctionProto& function, Level* level,
                std::vector<Open>* open);
  // False: the same Constant is there already.
  bool NoteConstant(const onnx::NodeProto& node, const Level& level);
  Status Spend(const onnx::FunctionProto& function);

  const FunctionIndex& functions_;
  uint64_t left_;
  bool renamed_ = false;
  uint64_t fresh_ = 0;                            // numbers of new names
  std::map<std::string, std::string> constants_;  // graph and output -> the node
};

}  // namespace backendctx::model
