// Is what the front would run still what was compiled? Asked of each partition of the front, from
// the front itself: tools that edit models keep our calls and change operands or bodies around
// them. In a flat front, and where two partitions cross and only one of them is a function, a
// partition is its nodes, found by what they make.

#include <algorithm>
#include <map>
#include <set>

#include "fmt/format.h"
#include "package/covers.h"
#include "package/state.h"

namespace backendctx::package {
namespace {

// `embedded`: the initializer that a call passes last; empty: none.
std::string CompareOperands(const manifest::Partition& partition, const model::Call& call,
                            const std::string& embedded) {
  const size_t expected_count = partition.inputs.size() + (embedded.empty() ? 0 : 1);
  if (call.operands.size() != expected_count) {
    return fmt::format("the call has {} operands, expected {}", call.operands.size(),
                       expected_count);
  }
  if (!embedded.empty() && call.operands.back().name != embedded) {
    return fmt::format("the last operand of the call is '{}', expected the container '{}'",
                       call.operands.back().name, embedded);
  }
  for (size_t i = 0; i < partition.inputs.size(); ++i) {
    const int32_t found = call.operands[i].element_type,
                  expected = partition.inputs[i].element_type;
    if (found != 0 && expected != 0 && found != expected) {
      return fmt::format("operand '{}' has element type {}, expected {}", call.operands[i].name,
                         found, expected);
    }
  }
  return "";
}

std::string WhyOther(const Digest& expected, const Result<Digest>& found, const char* where) {
  if (!found) return found.error().message();
  if (*found == expected) return "";
  return fmt::format("the {} in the front has structure digest {}..., packed was {}...", where,
                     found->Hex().substr(0, 12), expected.Hex().substr(0, 12));
}

std::string WhyStale(const manifest::Partition& partition, const model::Call& call,
                     const Digest& expected, const std::string& embedded) {
  std::string reason = CompareOperands(partition, call, embedded);
  return reason.empty() ? WhyOther(expected, call.structure_digest, "body") : reason;
}

// What the boundary says of its values against what the front says.
std::string CompareTypes(const manifest::Partition& partition, const model::GraphView& graph) {
  for (const manifest::BoundaryValue& input : partition.inputs) {
    const std::optional<model::TensorInfo> constant = graph.Constant(input.name);
    const model::ValueType* type = graph.Type(input.name);
    const int32_t found = constant ? constant->element_type : type ? type->element_type : 0;
    if (found == 0 || input.element_type == 0 || found == input.element_type) continue;
    return fmt::format("value '{}' has element type {}, expected {}", input.name, found,
                       input.element_type);
  }
  return "";
}

// A value that was only read inside and now is read outside: nothing that replaces the partition
// would make it.
std::string FindEscape(const manifest::Partition& partition, const model::GraphView& graph) {
  std::set<size_t> members;
  std::set<std::string> outputs;
  for (const std::string& key : partition.nodes) members.insert(graph.producer.at(key));
  for (const manifest::BoundaryValue& output : partition.outputs) outputs.insert(output.name);
  for (const size_t member : members) {
    for (const std::string& value : graph.nodes[member].outputs) {
      if (value.empty() || outputs.contains(value)) continue;
      bool is_read = graph.is_output.contains(value);
      if (const auto readers = graph.consumers.find(value); readers != graph.consumers.end()) {
        for (const size_t reader : readers->second) is_read |= !members.contains(reader);
      }
      if (is_read) return fmt::format("value '{}' is read outside of the partition", value);
    }
  }
  return "";
}

// A constant that an encoding has moved may be called NAME_1, NAME_2 ...
std::string NameInFront(const std::string& name, const model::GraphView& graph) {
  if (graph.Constant(name)) return name;
  for (const auto& [value, readers] : graph.consumers) {
    const bool has_number =
        value.size() > name.size() + 1 && value.starts_with(name) && value[name.size()] == '_' &&
        std::all_of(value.begin() + static_cast<std::ptrdiff_t>(name.size()) + 1, value.end(),
                    [](char c) { return c >= '0' && c <= '9'; });
    if (has_number && graph.Constant(value)) return value;
  }
  return name;
}

std::string WhyStaleFlat(const manifest::Partition& partition, const model::ModelView& view,
                         const GraphPaths& graphs) {
  model::EncodedPartition encoded = ToEncoded(partition);
  const auto at = graphs.find(partition.graph_path);
  if (at == graphs.end()) return fmt::format("the front has no graph '{}'", partition.graph_path);
  const model::GraphView& graph = *at->second;
  for (std::string& name : encoded.weights) name = NameInFront(name, graph);
  for (std::string& name : encoded.constants) name = NameInFront(name, graph);
  std::string reason =
      WhyOther(partition.structure_digest, PartitionDigest(view, encoded), "subgraph");
  if (!reason.empty()) return reason;
  reason = FindEscape(partition, graph);
  return reason.empty() ? CompareTypes(partition, graph) : reason;
}

// Of the partitions that no call was found of.
void BindFlat(const manifest::Manifest& manifest, const model::DecodedFront& front,
              const std::string& no_view, const std::set<std::string>& called,
              std::map<std::string, Binding>* bindings) {
  const GraphPaths graphs = front.view ? PathsOf(*front.view) : GraphPaths();
  for (const manifest::Partition& partition : manifest.partitions) {
    if (called.contains(partition.id)) continue;
    std::string stale = no_view;
    if (front.tag && partition.variant != front.tag->variant) {
      stale = "the front is of another variant";
    } else if (front.view) {
      stale = WhyStaleFlat(partition, *front.view, graphs);
    }
    (*bindings)[partition.id] = {partition.id, stale};
  }
}

}  // namespace

Result<std::vector<Binding>> Bind(const manifest::Manifest& manifest,
                                  const model::DecodedFront& front, const std::string& no_view,
                                  const std::map<std::string, Digest>& around_bodies) {
  std::map<std::string, Binding> by_id;
  std::set<std::string> called;
  for (const model::Call& call : front.calls) {
    const manifest::Partition* partition = manifest.FindPartition(call.partition);
    if (partition == nullptr) {
      return Status(StatusCode::kMalformed,
                    fmt::format("node '{}' calls partition '{}', which the manifest does not name",
                                call.node_name, call.partition),
                    {.field = call.node_name,
                     .found = call.partition,
                     .expected = "a partition of the manifest"});
    }
    const auto around = around_bodies.find(partition->id);
    const Digest expected =
        around != around_bodies.end()
            ? around->second
            : partition->body_structure_digest.value_or(partition->structure_digest);
    const std::string reason =
        WhyStale(*partition, call, expected, front.tag ? front.tag->embedded : "");
    // Every call of a partition must hold for the partition to hold.
    Binding& binding = by_id[partition->id];
    binding.partition = partition->id;
    if (called.insert(partition->id).second || !reason.empty()) binding.stale = reason;
  }
  BindFlat(manifest, front, no_view, called, &by_id);
  std::vector<Binding> bindings;
  for (const manifest::Partition& partition : manifest.partitions) {
    bindings.push_back(by_id[partition.id]);
  }
  return bindings;
}

}  // namespace backendctx::package
