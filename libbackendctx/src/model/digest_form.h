// Tensors as their digests: what is left of them when it does not matter where their data are.
// Internal to model.
#pragma once

#include <optional>
#include <string>

#include "backendctx/digest.h"
#include "backendctx/status.h"
#include "model/compare_front.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// Exchanges the data of a tensor, whichever fields hold them, for the digest of the decoded bytes.
void SetDigest(const Digest& digest, onnx::TensorProto* tensor);
Status DigestInline(onnx::TensorProto* tensor);
Status DigestStored(onnx::TensorProto* tensor);  // of a stored graph
// Of a front whose external data lie in `container`, where `places` knows them. Corrupt: elsewhere.
Status DigestOfFront(const std::string& container, const PlaceDigest& places,
                     onnx::TensorProto* tensor);

// Type, dims and digest of a tensor in digest form as one text, which no name begins like.
std::string TokenOf(const onnx::TensorProto& digested);
bool IsToken(const std::string& text);
inline constexpr char kTokenMark = '\1';

// Of a Constant node whose tensor is in digest form; lists of numbers are digested here. Nothing
// for other nodes and sparse values.
Result<std::optional<std::string>> ConstantToken(const onnx::NodeProto& node);

}  // namespace backendctx::model
