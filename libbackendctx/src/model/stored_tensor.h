// How a stored flat graph holds its tensors (docs/format.md, "Flat graph"). Internal to model.
//
// A tensor of kInlineLimit bytes and more is replaced: its data are gone, data_location is EXTERNAL
// and external_data holds
//   digest  64 hexadecimal digits, SHA-256 of the decoded bytes
//   size    of the decoded bytes, decimal
//   held    raw | typed | external: where the model had them
//   was:K   the model's own entry K, one for each that it had
// A smaller one that was external, or that had entries without being external, becomes inline raw
// data with the entries held and was:K. Every other tensor stays as it was, bit for bit.
#pragma once

#include <optional>
#include <string>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "model/graph_view_builder.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

enum class Held { kRaw, kTyped, kExternal };

// Turns a tensor of a model into its stored form. `small`: the decoded bytes of an external tensor
// under kInlineLimit, which become inline.
void Replace(onnx::TensorProto* tensor, Held held, const Digest& digest, uint64_t size);
void MakeInline(onnx::TensorProto* tensor, Held held, std::string small);

struct Replaced {
  Digest digest;
  uint64_t size = 0;
  Held held = Held::kRaw;
};
// What a replaced tensor stands for; nothing for one that is inside. Malformed: neither.
Result<std::optional<Replaced>> ReadReplaced(const onnx::TensorProto& tensor);

// TensorSource of a stored graph.
Result<TensorContents> StoredContents(const onnx::TensorProto& tensor);

// The opposite of Replace: data of `bytes` where the model had them (what was external becomes raw
// data), notes removed.
Status PutBack(onnx::TensorProto* tensor, std::string bytes);
// Removes the notes of a small tensor, so that what remains is a plain ONNX tensor.
void RemoveNotes(onnx::TensorProto* tensor);

// Makes a tensor external data at a place in the file `location`; its entries of before are gone.
void PointAt(const std::string& location, uint64_t offset, uint64_t size,
             onnx::TensorProto* tensor);

}  // namespace backendctx::model
