// Bodies that shipped runtimes can run: operators that a runtime knows only in part, or not at all,
// written as the primitive operators of their schema's function body.
//
// The flat graph keeps the original operator; only the function of the front holds what is made
// here. docs/format.md, "Legalised bodies".
#pragma once

#include <string>
#include <vector>

#include "model/flat_model.h"
#include "model/front.h"

namespace backendctx::model {

// Operators that are worth a partition of their own where a runtime refuses them: attention of the
// standard, whose schemas carry function bodies.
bool HasDecomposition(const Node& node);

struct LegalBody {
  std::string function;               // serialised FunctionProto: EncodedPartition::legal_body
  std::vector<std::string> replaced;  // operators, each once
};

// The body of `partition` with every such operator replaced. bfloat16 operands are computed in
// float32 and rounded once: runtimes have no bfloat16 kernels for the primitive operators.
//
// Errors: Unimplemented (no node has a decomposition, or onnx has none for these types, this opset
// or this operator version).
Result<LegalBody> Legalize(const FlatModel& flat, const EncodedPartition& partition);

// The structure digest of the legalised body that `partition` holds, computed as a reader of a
// front computes it.
Result<Digest> LegalBodyDigest(const FlatModel& flat, const EncodedPartition& partition);

}  // namespace backendctx::model
