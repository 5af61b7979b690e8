// The stream that graph and structure digests hash: tagged and length-prefixed, so that no two
// different models write the same bytes (docs/format.md, "Canonical stream"). Internal to model.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "crypto/sha256.h"
#include "model/graph_view.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

class CanonicalStream {
 public:
  void Tag(char tag) { Append(std::string_view(&tag, 1)); }
  void Number(uint64_t value);  // 8 bytes, little endian
  void Signed(int64_t value) { Number(static_cast<uint64_t>(value)); }
  void Float(float value);                             // its 4 bytes
  void Bytes(std::string_view bytes);                  // length as Number, then the bytes
  void Raw(std::string_view bytes) { Append(bytes); }  // a digest: fixed length
  Digest Finish();

 private:
  void Append(std::string_view bytes);
  std::string pending_;
  crypto::Sha256Stream sha_;
};

// "" for ai.onnx.
inline const std::string& DomainOf(const std::string& domain) {
  static const std::string kDefault;
  return domain == "ai.onnx" ? kDefault : domain;
}

// The type that an attribute has: as declared, or by the field that is set where old models declare
// none.
onnx::AttributeProto::AttributeType TypeOf(const onnx::AttributeProto& attribute);

using GraphWriter = std::function<Status(const onnx::GraphProto&)>;

// `tensor` in stored form.
Status WriteTensor(const onnx::TensorProto& tensor, CanonicalStream* stream);
void WriteType(const onnx::TypeProto& type, CanonicalStream* stream);
// `graph` writes a subgraph; names mean different things in the two digests.
Status WriteAttribute(const onnx::AttributeProto& attribute, const GraphWriter& graph,
                      CanonicalStream* stream);

// docs/format.md, "Graph digest". `model` in stored form.
Result<Digest> GraphDigest(const onnx::ModelProto& model);

}  // namespace backendctx::model
