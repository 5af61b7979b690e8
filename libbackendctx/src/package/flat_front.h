// What a runtime asks about the graphs of a front in the metadata encoding: which graph is which,
// and by what other names a boundary value may be met.
//
// Both are answered from the front as it was read, where there is one: recorded equalities that an
// edit has broken are left out. Of a model from bytes the stored graph answers.
//
// Threads: belongs to one session, which is made on one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"

namespace backendctx::package {

class FlatFront {
 public:
  // The package must outlive it.
  BCTX_API static Result<FlatFront> Make(const Package& package);

  // Null when there is no such graph.
  BCTX_API const std::vector<std::string>* Outputs(const std::string& graph_path) const;

  // Those of the recorded equal values that are equal to it.
  BCTX_API std::vector<std::string> EqualValues(const manifest::Partition& partition,
                                                const manifest::BoundaryValue& value);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace backendctx::package
