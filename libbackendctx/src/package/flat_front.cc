#include "package/flat_front.h"

#include <algorithm>
#include <set>

#include "package/state.h"
#include "scope/equal_values.h"

namespace backendctx::package {

struct FlatFront::State {
  std::set<std::string> called;
  std::vector<std::string> prefixes;
  std::shared_ptr<const model::ModelView> front;  // of the front, where one was read
  std::optional<model::FlatModel> stored;         // else
  std::map<std::string, const model::GraphView*> graphs;
  std::map<std::string, scope::ValueClasses> classes;  // by graph path, made when asked for

  const model::ModelView& View() const { return front ? *front : stored->view(); }
};

namespace {

// ONNX Runtime's way to keep the names inside functions apart.
std::string PrefixOf(const std::string& function) { return "_inlfunc_" + function + "_"; }

// Of a model from bytes: what the encoder would choose.
Result<std::set<std::string>> Called(const Package::State& package, const model::FrontTag& tag,
                                     const model::ModelView& view) {
  std::set<std::string> called;
  if (package.decoded) {
    for (const model::Call& call : package.decoded->calls) called.insert(call.partition);
    return called;
  }
  if (tag.encoding == model::Encoding::kMetadata) return called;
  BCTX_ASSIGN_OR_RETURN(const FrontChoice choice,
                        ChooseFunctions(package.manifest, tag.variant, tag.prefer, view));
  for (const size_t number : choice.functions) {
    called.insert(package.manifest.partitions[number].id);
  }
  return called;
}

}  // namespace

bool FlatFront::MayBeNeeded(const Package& package, const model::FrontTag& tag) {
  if (tag.encoding == model::Encoding::kMetadata) return true;
  const Package::State& state = package.state();
  return state.decoded ? state.decoded->view != nullptr : state.manifest.scopes.size() > 1;
}

Result<FlatFront> FlatFront::Make(const Package& package, const model::FrontTag& tag) {
  auto state = std::make_shared<State>();
  const Package::State& from = package.state();
  if (from.decoded) state->front = from.decoded->view;
  if (!state->front) {
    BCTX_ASSIGN_OR_RETURN(state->stored, OpenGraph(from, from.VariantName()));
  }
  for (const model::GraphView* graph : model::AllGraphs(state->View())) {
    state->graphs[graph->path] = graph;
  }
  BCTX_ASSIGN_OR_RETURN(state->called, Called(from, tag, state->View()));
  for (const std::string& id : state->called) {
    const manifest::Partition* partition = from.manifest.FindPartition(id);
    if (partition && !partition->body) state->prefixes.push_back(PrefixOf(partition->function));
  }
  FlatFront front;
  front.state_ = std::move(state);
  return front;
}

bool FlatFront::HasCall(const std::string& partition) const {
  return state_->called.contains(partition);
}

bool FlatFront::HasCalls() const { return !state_->called.empty(); }

const std::vector<std::string>& FlatFront::prefixes() const { return state_->prefixes; }

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
