// Values of one graph that are the same whatever goes in: the same computation on the same values.
//
// Runtimes merge such values before a provider sees the graph (common subexpressions, Identity,
// Casts that change nothing), and one name of several survives. What is recorded here lets a
// partition be found by the others. Two values are equal when their nodes have the same operator,
// attributes and equal inputs; constants when type, shape and bytes agree. Never equal: outputs of
// random operators, of operators of unknown domains, of nodes with subgraphs and of functions of
// the model.
//
// Cost: linear in the graph.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/graph_view.h"

namespace backendctx::scope {

class ValueClasses {
 public:
  ValueClasses(const model::ModelView& model, const model::GraphView& graph);

  bool AreEqual(const std::string& a, const std::string& b) const;
  // The other values of the graph that are equal to `value`, in the order in which they are made,
  // at most `limit`.
  std::vector<std::string> EqualTo(const std::string& value, size_t limit) const;

 private:
  std::unordered_map<std::string, uint64_t> class_of_;
  std::unordered_map<uint64_t, std::vector<std::string>> members_;
};

}  // namespace backendctx::scope
