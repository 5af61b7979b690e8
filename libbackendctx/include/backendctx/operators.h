// The operators of a model, and who compiles them.
//
//   Result<OperatorList> list = ListOperators(*Package::Open("package.onnx", {}), "");
//   for (const OperatorUse& use : list->operators) ...
//
// Nodes are those of the flat graph, in branches and loops too, and those inside functions of the
// model's own, which nobody compiles. Nothing is compiled to find out: what a node that no code
// covers lacks is what packing would say before it asks a compiler.
//
// Errors: as those of reading a package's graph or a model (Io, Malformed, Corrupt, UnsafePath,
// ResourceExhausted), NotFound: a variant that the package does not have.
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

struct OperatorCompiler {
  std::string backend, target;
  uint64_t nodes = 0;  // that its contexts cover
};

struct OperatorReason {
  std::string reason;  // why nodes are not compiled
  uint64_t nodes = 0;
};

struct OperatorUse {
  std::string domain;  // "" for ai.onnx
  std::string op_type;
  bool is_function = false;  // a call of a function of the model's own
  uint64_t nodes = 0;
  uint64_t compiled = 0;                    // nodes in a partition that has a context
  std::vector<OperatorCompiler> compilers;  // by backend and target; may share nodes
  std::vector<OperatorReason> reasons;      // most nodes first; they add up to the rest
};

struct OperatorList {
  std::string variant;                 // "" for a plain model
  std::vector<OperatorUse> operators;  // by domain and name
};

// `variant`: "" for the front's.
BCTX_API Result<OperatorList> ListOperators(const Package& package, const std::string& variant);

}  // namespace backendctx
