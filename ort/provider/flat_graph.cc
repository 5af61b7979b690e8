#include "provider/flat_graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace backendctx::ort {

Result<FlatGraph> FlatGraph::Read(const GraphReader& reader, const OrtGraph* graph) {
  FlatGraph flat;
  BCTX_ASSIGN_OR_RETURN(const std::vector<const OrtNode*> nodes, reader.Nodes(graph));
  for (const OrtNode* node : nodes) {
    NodeInfo info;
    info.node = node;
    BCTX_ASSIGN_OR_RETURN(info.inputs, reader.Inputs(node));
    BCTX_ASSIGN_OR_RETURN(const std::vector<Port> captured, reader.ImplicitInputs(node));
    info.inputs.insert(info.inputs.end(), captured.begin(), captured.end());
    BCTX_ASSIGN_OR_RETURN(info.outputs, reader.Outputs(node));
    const size_t index = flat.nodes_.size();
    for (const Port& port : info.inputs) {
      if (port.info == nullptr) continue;
      auto& readers = flat.readers_[port.name];
      if (readers.empty() || readers.back() != index) readers.push_back(index);
      if (!flat.ports_.emplace(port.name, port).second) continue;
      BCTX_ASSIGN_OR_RETURN(const bool is_constant, reader.IsConstant(port.info));
      if (is_constant) flat.constants_.insert(port.name);
    }
    for (const Port& port : info.outputs) {
      if (port.info == nullptr) continue;
      flat.maker_[port.name] = index;
      flat.ports_.emplace(port.name, port);
    }
    flat.nodes_.push_back(std::move(info));
  }
  BCTX_ASSIGN_OR_RETURN(const std::vector<Port> outputs, reader.GraphOutputs(graph));
  for (const Port& port : outputs) flat.outputs_.push_back(port.name);
  flat.is_output_.insert(flat.outputs_.begin(), flat.outputs_.end());
  return flat;
}

// The name under which the graph has the value; empty: under none.
std::string FlatGraph::Resolve(const manifest::BoundaryValue& value,
                               const OtherNames& other_names) const {
  if (ports_.count(value.name)) return value.name;
  for (const std::string& other : other_names(value)) {
    if (ports_.count(other)) return other;
  }
  return "";
}

// All nodes from which an output is reached without passing the boundary; the words say what they
// read besides it.
std::string FlatGraph::Collect(const std::vector<std::string>& outputs,
                               const std::set<std::string>& boundary,
                               std::set<size_t>* nodes) const {
  std::vector<size_t> open;
  const auto add = [&](const std::string& value) {
    const size_t maker = maker_.at(value);
    if (nodes->insert(maker).second) open.push_back(maker);
  };
  for (const std::string& output : outputs) add(output);
  while (!open.empty()) {
    const NodeInfo& info = nodes_[open.back()];
    open.pop_back();
    for (const Port& port : info.inputs) {
      if (port.info == nullptr || boundary.count(port.name) || constants_.count(port.name))
        continue;
      if (!maker_.count(port.name)) {
        return fmt::format("ONNX Runtime's rewrites made it read value '{}'", port.name);
      }
      add(port.name);
    }
  }
  return "";
}

bool FlatGraph::ReadsOnly(size_t node, const std::set<std::string>& boundary,
                          const std::set<size_t>& nodes) const {
  return std::all_of(nodes_[node].inputs.begin(), nodes_[node].inputs.end(), [&](const Port& port) {
    if (port.info == nullptr || boundary.count(port.name) || constants_.count(port.name)) {
      return true;
    }
    const auto maker = maker_.find(port.name);
    return maker != maker_.end() && nodes.count(maker->second) != 0;
  });
}

bool FlatGraph::IsReadOnlyBy(size_t node, const std::set<size_t>& nodes) const {
  return std::all_of(nodes_[node].outputs.begin(), nodes_[node].outputs.end(),
                     [&](const Port& port) {
                       if (is_output_.count(port.name)) return false;
                       const auto readers = readers_.find(port.name);
                       return port.info == nullptr || readers == readers_.end() ||
                              std::all_of(readers->second.begin(), readers->second.end(),
                                          [&](size_t reader) { return nodes.count(reader) != 0; });
                     });
}

// The partition's nodes that no output needs, as far as they are there and belong to nothing else.
void FlatGraph::AddUnneeded(const manifest::Partition& partition, const OtherNames& other_names,
                            const std::set<std::string>& boundary, std::set<size_t>* nodes) const {
  std::set<size_t> all = *nodes;
  for (const std::string& key : partition.nodes) {
    manifest::BoundaryValue value;
    value.name = key;
    const auto maker = maker_.find(Resolve(value, other_names));
    if (maker != maker_.end()) all.insert(maker->second);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (auto node = all.begin(); node != all.end();) {
      const bool stays =
          nodes->count(*node) || (ReadsOnly(*node, boundary, all) && IsReadOnlyBy(*node, all));
      changed |= !stays;
      node = stays ? std::next(node) : all.erase(node);
    }
  }
  *nodes = std::move(all);
}

std::string FlatGraph::FindEscape(const std::set<size_t>& nodes,
                                  const std::set<std::string>& outputs) const {
  for (const size_t index : nodes) {
    for (const Port& port : nodes_[index].outputs) {
      if (port.info == nullptr || outputs.count(port.name)) continue;
      bool escapes = is_output_.count(port.name) != 0;
      if (const auto readers = readers_.find(port.name); readers != readers_.end()) {
        for (const size_t reader : readers->second) escapes |= !nodes.count(reader);
      }
      if (escapes) {
        return fmt::format("ONNX Runtime's rewrites share its inner value '{}' with other nodes",
                           port.name);
      }
    }
  }
  return "";
}

// A path out of the nodes and into them again: contracted to one node they would be a cycle. The
// others are one node each already: who reaches one of their nodes leaves from all of them.
bool FlatGraph::ComesBack(const std::set<size_t>& nodes,
                          const std::vector<std::set<size_t>>& others) const {
  std::vector<size_t> open(nodes.begin(), nodes.end());
  std::set<size_t> outside;
  const auto reach = [&](size_t reader) {
    if (!outside.insert(reader).second) return;
    open.push_back(reader);
    for (const std::set<size_t>& other : others) {
      if (!other.count(reader)) continue;
      for (const size_t member : other) {
        if (outside.insert(member).second) open.push_back(member);
      }
    }
  };
  while (!open.empty()) {
    const size_t at = open.back();
    open.pop_back();
    for (const Port& port : nodes_[at].outputs) {
      const auto readers = readers_.find(port.name);
      if (port.info == nullptr || readers == readers_.end()) continue;
      for (const size_t reader : readers->second) {
        if (!nodes.count(reader)) {
          reach(reader);
        } else if (!nodes.count(at)) {
          return true;
        }
      }
    }
  }
  return false;
}

FlatRegion FlatGraph::Find(const manifest::Partition& partition,
                           const OtherNames& other_names) const {
  FlatRegion region;
  const auto lost = [&region](std::string why) {
    region.lost = std::move(why);
    return region;
  };
  std::set<std::string> boundary, outputs;
  std::vector<std::string> input_names, output_names;
  for (const manifest::BoundaryValue& input : partition.inputs) {
    const std::string name = Resolve(input, other_names);
    if (name.empty() && input.role == manifest::ValueRole::kActivation) {
      return lost(fmt::format("ONNX Runtime's rewrites removed its input '{}'", input.name));
    }
    input_names.push_back(name);
    if (!name.empty()) boundary.insert(name);
  }
  for (const manifest::BoundaryValue& output : partition.outputs) {
    const std::string name = Resolve(output, other_names);
    if (name.empty() || !maker_.count(name)) {
      return lost(fmt::format("ONNX Runtime's rewrites removed its output '{}'", output.name));
    }
    output_names.push_back(name);
    outputs.insert(name);
  }
  std::set<size_t> nodes;
  std::string why = Collect(output_names, boundary, &nodes);
  if (why.empty()) AddUnneeded(partition, other_names, boundary, &nodes);
  if (why.empty()) why = FindEscape(nodes, outputs);
  // With one output a path back would be a cycle of the graph itself.
  if (why.empty() && outputs.size() > 1 && ComesBack(nodes))
    why = "a path leaves it and comes back";
  if (!why.empty()) return lost(std::move(why));

  std::map<std::string, Port> read;
  for (const size_t index : nodes) {
    region.nodes.push_back(nodes_[index].node);
    for (const Port& port : nodes_[index].inputs) {
      if (port.info != nullptr) read.emplace(port.name, port);
    }
  }
  for (size_t i = 0; i < input_names.size(); ++i) {
    const auto port = read.find(input_names[i]);
    if (port == read.end() && partition.inputs[i].role == manifest::ValueRole::kActivation) {
      return lost(fmt::format("ONNX Runtime's rewrites left its input '{}' unread",
                              partition.inputs[i].name));
    }
    region.inputs.push_back(port != read.end() ? port->second : Port{});
  }
  for (const std::string& name : output_names) region.outputs.push_back(ports_.at(name));
  region.places = std::move(nodes);
  return region;
}

Result<std::string> FlatGraph::Identify(const GraphReader& reader,
                                        const std::vector<const OrtNode*>& nodes) {
  std::vector<std::string> lines;
  for (const OrtNode* node : nodes) {
    BCTX_ASSIGN_OR_RETURN(std::string line, reader.OpType(node));
    BCTX_ASSIGN_OR_RETURN(const std::vector<Port> inputs, reader.Inputs(node));
    BCTX_ASSIGN_OR_RETURN(const std::vector<Port> outputs, reader.Outputs(node));
    for (const Port& port : inputs) line += '\0' + port.name;
    line += '\1';
    for (const Port& port : outputs) line += '\0' + port.name;
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  std::string identity;
  for (const std::string& line : lines) identity += line + '\2';
  return identity;
}

}  // namespace backendctx::ort
