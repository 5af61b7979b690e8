// ONNX Runtime's graph as the provider needs it: names, calls of our functions, their operands.
//
// Everything here is a view of what ONNX Runtime owns, for the length of one callback.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/handles.h"

namespace backendctx::ort {

// One value at a node. info null: an absent optional input.
struct Port {
  const OrtValueInfo* info = nullptr;
  std::string name;
};

struct TensorType {
  int32_t element_type = 0;  // onnx TensorProto.DataType; 0: no tensor or not known
  bool has_shape = false;
  std::vector<int64_t> dims;  // -1: not known
};

struct ExternalPlace {
  std::string file;
  uint64_t offset = 0, size = 0;
};

class GraphReader {
 public:
  explicit GraphReader(const OrtApi& api) : api_(api) {}

  Result<std::vector<const OrtNode*>> Nodes(const OrtGraph* graph) const;
  Result<std::string> ModelPath(const OrtGraph* graph) const;
  // A metadata property of the model, or nothing.
  Result<std::optional<std::string>> Property(const OrtGraph* graph, const char* key) const;

  Result<std::string> Name(const OrtNode* node) const;
  Result<std::string> Domain(const OrtNode* node) const;
  Result<std::string> OpType(const OrtNode* node) const;
  Result<size_t> SubgraphCount(const OrtNode* node) const;
  // A string attribute; nothing when it is not there or no string.
  Result<std::optional<std::string>> Text(const OrtNode* node, const char* attribute) const;
  Result<std::vector<Port>> Inputs(const OrtNode* node) const;
  Result<std::vector<Port>> Outputs(const OrtNode* node) const;
  // What the node's subgraphs read of the graph that the node is in.
  Result<std::vector<Port>> ImplicitInputs(const OrtNode* node) const;
  Result<std::vector<Port>> GraphOutputs(const OrtGraph* graph) const;

  Result<TensorType> Type(const OrtValueInfo* value) const;
  Result<bool> IsConstant(const OrtValueInfo* value) const;
  // Where an initializer's bytes lie in another file; nothing for one that lies in the model.
  Result<std::optional<ExternalPlace>> Place(const OrtValueInfo* value) const;
  // A constant's bytes, mapped by ONNX Runtime when they are external.
  Result<std::pair<const void*, size_t>> Bytes(const OrtValueInfo* value) const;

 private:
  Status Check(OrtStatus* status) const { return ToStatus(api_, status); }
  Result<std::vector<Port>> ToPorts(const std::vector<const OrtValueInfo*>& infos) const;

  const OrtApi& api_;
};

}  // namespace backendctx::ort
