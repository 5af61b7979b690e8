#include "package/flat_front.h"

#include <algorithm>

#include "package/state.h"
#include "scope/equal_values.h"

namespace backendctx::package {

struct FlatFront::State {
  std::shared_ptr<const model::ModelView> front;  // of the front, where one was read
  std::optional<model::FlatModel> stored;         // else
  std::map<std::string, const model::GraphView*> graphs;
  std::map<std::string, scope::ValueClasses> classes;  // by graph path, made when asked for

  const model::ModelView& View() const { return front ? *front : stored->view(); }
};

Result<FlatFront> FlatFront::Make(const Package& package) {
  auto state = std::make_shared<State>();
  const Package::State& from = package.state();
  if (from.decoded) state->front = from.decoded->view;
  if (!state->front) {
    BCTX_ASSIGN_OR_RETURN(state->stored, OpenGraph(from, from.VariantName()));
  }
  for (const model::GraphView* graph : model::AllGraphs(state->View())) {
    state->graphs[graph->path] = graph;
  }
  FlatFront front;
  front.state_ = std::move(state);
  return front;
}

const std::vector<std::string>* FlatFront::Outputs(const std::string& graph_path) const {
  const auto graph = state_->graphs.find(graph_path);
  return graph != state_->graphs.end() ? &graph->second->outputs : nullptr;
}

std::vector<std::string> FlatFront::EqualValues(const manifest::Partition& partition,
                                                const manifest::BoundaryValue& value) {
  const auto graph = state_->graphs.find(partition.graph_path);
  if (graph == state_->graphs.end() || value.equal_values.empty()) return {};
  auto classes = state_->classes.find(partition.graph_path);
  if (classes == state_->classes.end()) {
    classes =
        state_->classes
            .emplace(partition.graph_path, scope::ValueClasses(state_->View(), *graph->second))
            .first;
  }
  std::vector<std::string> equal = value.equal_values;
  std::erase_if(equal, [&](const std::string& other) {
    return !classes->second.AreEqual(value.name, other);
  });
  return equal;
}

}  // namespace backendctx::package
