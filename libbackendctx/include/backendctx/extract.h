// Single contents of a package, taken out: the signed bytes, a stored graph, a tensor by its name.
//
//   Result<Package> package = Package::Open("model.onnx", {});
//   Result<TensorValue> weight = ReadTensor(*package, "", "encoder.layer.0.query.weight");
//
// Everything is compared with its digest before it is handed out (Corrupt). The code of a context:
// Package::ContextBytes.
//
// Threads: plain values; functions have no shared state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"
#include "backendctx/status.h"

namespace backendctx {

struct TensorValue {
  int32_t element_type = 0;  // onnx TensorProto.DataType
  std::vector<int64_t> dims;
  std::string bytes;  // decoded, little endian, row major; sub-byte types packed as in ONNX
};

// The bytes that signatures cover. NotFound: a plain model has none.
BCTX_API Result<std::string> ReadManifest(const Package& package);
// A ModelProto whose tensors of 128 bytes and more are digests (docs/format.md, "Flat graph").
// NotFound: no such variant.
BCTX_API Result<std::string> ReadGraph(const Package& package, const std::string& variant);
// An initializer or the output of a Constant node, of the outermost graph that has one of this
// name; `variant` "": the front's. Opens plain models too.
BCTX_API Result<TensorValue> ReadTensor(const Package& package, const std::string& variant,
                                        const std::string& name);

}  // namespace backendctx
