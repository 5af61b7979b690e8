// One graph of a model, as ONNX Runtime has it when it asks what is to be claimed, and the
// partitions in it that are no calls.
//
// By then the runtime has rewritten the graph: constants are folded, equal nodes merged, nodes
// fused. Such rewrites keep what a value means for as long as its name is there, so a partition is
// what lies between the names of its boundary: every node from which an output is reached without
// passing an input. What makes it sound to replace: it reads nothing else but constants, nothing
// inside is read outside, and no path leaves it and comes back.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "backendctx/manifest.h"
#include "provider/graph_reader.h"

namespace backendctx::ort {

// Other names for a boundary value whose own is gone, best first.
using OtherNames = std::function<std::vector<std::string>(const manifest::BoundaryValue&)>;

struct FlatRegion {
  std::vector<const OrtNode*> nodes;  // in the graph's order
  std::set<size_t> places;            // of the nodes in it
  // In the order of the partition's inputs and outputs. A weight or constant that is not read any
  // more, because the runtime has folded it, has no info.
  std::vector<Port> inputs, outputs;
  std::string lost;  // why there is no such region; empty: there is
};

class FlatGraph {
 public:
  static Result<FlatGraph> Read(const GraphReader& reader, const OrtGraph* graph);

  // Names of the graph's outputs, in order: they survive every rewrite.
  const std::vector<std::string>& outputs() const { return outputs_; }
  // Whether any node of this graph makes this value.
  bool Makes(const std::string& value) const { return maker_.count(value) != 0; }

  FlatRegion Find(const manifest::Partition& partition, const OtherNames& other_names) const;
  // Whether the region could no longer be one node once the others are.
  bool WaitsFor(const FlatRegion& region, const std::vector<std::set<size_t>>& others) const {
    return ComesBack(region.places, others);
  }

  // What a set of nodes is known by when it is to be compiled: ONNX Runtime gives no other name.
  static Result<std::string> Identify(const GraphReader& reader,
                                      const std::vector<const OrtNode*>& nodes);

 private:
  struct NodeInfo {
    const OrtNode* node = nullptr;
    std::vector<Port> inputs, outputs;  // inputs: those that subgraphs capture too
  };

  std::string Resolve(const manifest::BoundaryValue& value, const OtherNames& other_names) const;
  std::string Collect(const std::vector<std::string>& outputs,
                      const std::set<std::string>& boundary, std::set<size_t>* nodes) const;
  void AddUnneeded(const manifest::Partition& partition, const OtherNames& other_names,
                   const std::set<std::string>& boundary, std::set<size_t>* nodes) const;
  bool ReadsOnly(size_t node, const std::set<std::string>& boundary,
                 const std::set<size_t>& nodes) const;
  bool IsReadOnlyBy(size_t node, const std::set<size_t>& nodes) const;
  std::string FindEscape(const std::set<size_t>& nodes, const std::set<std::string>& outputs) const;
  bool ComesBack(const std::set<size_t>& nodes,
                 const std::vector<std::set<size_t>>& others = {}) const;

  std::vector<NodeInfo> nodes_;
  std::vector<std::string> outputs_;
  std::set<std::string> is_output_;
  std::unordered_map<std::string, size_t> maker_;
  std::unordered_map<std::string, std::vector<size_t>> readers_;
  std::unordered_map<std::string, Port> ports_;  // every value that a node reads or makes
  std::set<std::string> constants_;
};

}  // namespace backendctx::ort
