// What a FlatModel holds. Internal to model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/flat_model.h"
#include "model/stored_tensor.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// The graphs of a flat model, as view and as message, by path.
struct GraphPair {
  const GraphView* view = nullptr;
  const onnx::GraphProto* proto = nullptr;
};
using GraphIndex = std::map<std::string, GraphPair>;

struct FlatModel::State {
  onnx::ModelProto stored;  // in stored form (stored_tensor.h)
  ModelView view;
  GraphIndex graphs;
  std::vector<TensorContent> tensors;  // sorted by digest
  Digest graph_digest;

  // Null: no such content.
  const TensorContent* Find(const Digest& digest) const;
};

// The whole content; Corrupt when the bytes are not those that the digest names.
Result<std::string> ReadAll(const TensorContent& content);

// Parses a model with the limits applied; Malformed when it is none.
Status ParseModel(google::protobuf::io::ZeroCopyInputStream* input, const LoadLimits& limits,
                  onnx::ModelProto* model);
Status ParseModel(std::span<const uint8_t> bytes, const LoadLimits& limits,
                  onnx::ModelProto* model);

}  // namespace backendctx::model
