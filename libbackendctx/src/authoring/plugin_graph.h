// A graph as a plug-in reads it: bctx_graph over owned strings.
//
// Constant nodes are no nodes here: what they hold is a constant value, as an initializer is.
//
// Threads: immutable after construction.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backendctx/plugin_abi.h"
#include "model/flat_model.h"

namespace backendctx::authoring {

// The decoded bytes of a constant of `graph`; Internal when the value is none.
Result<std::string> ConstantBytes(const model::FlatModel& flat, const model::GraphView& graph,
                                  const std::string& value);

// Immovable: the C structs point into it, and its callbacks at it.
class PluginGraph {
 public:
  // The ONNX form is made when it is first asked for.
  using MakeOnnx = std::function<Result<std::string>(bctx_onnx_form)>;

  // `nodes`: indices into `graph`, in any order; Constant nodes among them are left out. The flat
  // model must outlive the result.
  static std::unique_ptr<PluginGraph> Make(const model::FlatModel& flat,
                                           const model::GraphView& graph,
                                           const std::vector<size_t>& nodes,
                                           const std::vector<std::string>& inputs,
                                           const std::vector<std::string>& outputs,
                                           MakeOnnx make_onnx);
  // All of one graph.
  static std::unique_ptr<PluginGraph> Whole(const model::FlatModel& flat,
                                            const model::GraphView& graph);

  const bctx_graph& graph() const { return graph_; }
  // Index in the flat graph of a node of this one.
  size_t FlatNode(size_t node) const { return flat_nodes_[node]; }

  PluginGraph(const PluginGraph&) = delete;
  PluginGraph& operator=(const PluginGraph&) = delete;

 private:
  struct Held;  // the strings and numbers behind the C structs, and what was made on request

  PluginGraph(const model::FlatModel& flat, const model::GraphView& graph, MakeOnnx make_onnx);
  int32_t ValueIndex(const std::string& name);
  void AddNode(size_t index);
  void Finish(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

  static bctx_code GiveAttribute(const bctx_graph* graph, size_t node, const char* name,
                                 bctx_attribute* attribute, bctx_error* error);
  static bctx_code GiveConstant(const bctx_graph* graph, size_t value, bctx_bytes* bytes,
                                bctx_error* error);
  static bctx_code GiveOnnx(const bctx_graph* graph, int32_t form, bctx_bytes* model,
                            bctx_error* error);

  const model::FlatModel& flat_;
  const model::GraphView& view_;
  std::vector<size_t> flat_nodes_;
  std::shared_ptr<Held> held_;
  bctx_graph graph_{};
};

}  // namespace backendctx::authoring
