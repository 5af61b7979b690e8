// What a runtime asks about partitions that are no calls, in the metadata encoding all of them, in
// the function encoding those that cross another one: which graph is which, and by what other names
// a boundary value may be met.
//
// It is answered from the front as it was read, where there is one: recorded equalities that an
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
#include "model/front.h"

namespace backendctx::package {

class FlatFront {
 public:
  // False: each partition is a call, and nothing is to be asked.
  BCTX_API static bool MayBeNeeded(const Package& package, const model::FrontTag& tag);

  // The package must outlive it. `tag`: of the front.
  BCTX_API static Result<FlatFront> Make(const Package& package, const model::FrontTag& tag);

  // Whether the front calls the partition; then it is not looked for among the nodes.
  BCTX_API bool HasCall(const std::string& partition) const;
  BCTX_API bool HasCalls() const;

  // What a runtime puts before the names of values that were inside functions, one for each
  // function whose body has the partition's own nodes.
  BCTX_API const std::vector<std::string>& prefixes() const;

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
