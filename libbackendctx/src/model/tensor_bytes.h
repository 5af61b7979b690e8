// The decoded bytes of a tensor that is held inside its message. Internal to model.
//
// Decoded bytes are what digests cover, so that a tensor is the same however it was stored:
// elements in order, little endian, fixed width; sub-byte elements packed as ONNX packs raw data;
// a string as 8 bytes of length and its characters.
#pragma once

#include <cstdint>
#include <string>

#include "backendctx/status.h"
#include "onnx/onnx_pb.h"

namespace backendctx::model {

// The element count of `dims`; Malformed when a dimension is negative or the product overflows.
Result<uint64_t> ElementCount(const onnx::TensorProto& tensor);

// The size in bytes of the decoded elements. Malformed for an unknown element type and for strings,
// whose size depends on their contents.
Result<uint64_t> DecodedSize(const onnx::TensorProto& tensor);

// The decoded bytes of raw_data or of the typed field. Malformed when the data do not fill the
// dims exactly; InvalidArgument for external data, which only a loader can read.
Result<std::string> DecodeInline(const onnx::TensorProto& tensor);

}  // namespace backendctx::model
