// ModelProto -> ModelView. Internal to model: it names onnx types.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "backendctx/status.h"
#include "model/graph_view.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// What a view wants to know of a tensor's decoded bytes (tensor_bytes.h says what these are).
struct TensorContents {
  uint64_t size = 0;
  std::string digest;  // 32 raw bytes, SHA-256
  std::string bytes;   // when size < kInlineLimit, else empty
};

// Called for every initializer and every tensor of an attribute. A loader that knows external data
// (or has the digests already) passes its own; it must give the same as InlineContents would for
// the same tensor held inline.
using TensorSource = std::function<Result<TensorContents>(const onnx::TensorProto&)>;

// The contents of decoded bytes.
TensorContents ContentsOf(std::string decoded);

// The default source: tensors held inside the message. InvalidArgument for external ones.
Result<TensorContents> InlineContents(const onnx::TensorProto& tensor);

// Types are those that the model declares, then what onnx's shape inference adds; where inference
// fails (unknown operators, models that no checker accepts), what it did not reach stays unknown.
// Sparse initializers get a type and no constant. Malformed: a tensor whose data do not fill its
// dims, two definitions of one value in a graph. ResourceExhausted: subgraphs nested too deep.
Result<ModelView> BuildView(const onnx::ModelProto& model, const TensorSource& source);
inline Result<ModelView> BuildView(const onnx::ModelProto& model) {
  return BuildView(model, InlineContents);
}

// Only the declared types: for views whose types nobody asks.
Result<ModelView> BuildViewWithoutInference(const onnx::ModelProto& model,
                                            const TensorSource& source);

}  // namespace backendctx::model
