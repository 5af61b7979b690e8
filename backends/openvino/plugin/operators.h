// Which nodes OpenVINO is asked to take: operators that were tried, up to the version of the
// operator set that was tried. OpenVINO itself has no upper bound, ignores attributes that it does
// not know, and exports some operators as graphs that give other results when they are imported.
#pragma once

#include <string>
#include <vector>

#include "common/outcome.h"

namespace backendctx::openvino {

class NodeJudge {
 public:
  // The graph must outlive it.
  explicit NodeJudge(const bctx_graph& graph);

  // Why node `node` is left to the graph; empty: it is taken.
  std::string WhyRefused(size_t node) const;

  const bctx_graph& graph() const { return graph_; }
  // Null: there is no such input.
  const bctx_value* Input(size_t node, size_t index) const;
  // Told without reading it: it is made by no node and is no input.
  bool IsConstant(size_t node, size_t index) const;

 private:
  std::string CheckValues(size_t node) const;

  const bctx_graph& graph_;
  std::vector<bool> is_computed_;  // by value
};

}  // namespace backendctx::openvino
