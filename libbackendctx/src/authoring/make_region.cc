#include "authoring/make_region.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

manifest::BoundaryValue Boundary(const model::GraphView& graph, const std::string& name,
                                 manifest::ValueRole role) {
  manifest::BoundaryValue value;
  value.name = name;
  value.role = role;
  if (const model::ValueType* type = graph.Type(name)) {
    value.element_type = type->element_type;
    value.has_shape = type->has_shape;
    for (const model::Dim& dim : type->dims) value.dims.push_back({dim.value, dim.symbol});
  }
  if (role == manifest::ValueRole::kActivation) return value;
  const std::optional<model::TensorInfo> tensor = graph.Constant(name);
  if (!tensor) return value;
  value.element_type = tensor->element_type;
  value.has_shape = true;
  value.dims.clear();
  for (int64_t dim : tensor->dims) value.dims.push_back({dim, ""});
  Digest digest;
  std::copy_n(tensor->digest.begin(), digest.bytes.size(), digest.bytes.begin());
  value.content = digest;
  return value;
}

manifest::Partition ToManifest(const model::GraphView& graph, const scope::Partition& span,
                               const std::string& variant, const std::string& id,
                               const std::string& function) {
  manifest::Partition partition;
  partition.id = id;
  partition.variant = variant;
  partition.graph_path = graph.path;
  partition.function = function;
  for (size_t node : span.nodes) partition.nodes.push_back(graph.nodes[node].Key());
  const auto add = [&](const std::vector<std::string>& names, manifest::ValueRole role) {
    for (const std::string& name : names) partition.inputs.push_back(Boundary(graph, name, role));
  };
  add(span.activations, manifest::ValueRole::kActivation);
  add(span.weights, manifest::ValueRole::kWeight);
  add(span.constants, manifest::ValueRole::kConstant);
  for (const std::string& name : span.outputs) {
    partition.outputs.push_back(Boundary(graph, name, manifest::ValueRole::kActivation));
  }
  return partition;
}

// Integer constants that an encoding copies into the body are no inputs of the call. Then the
// digest.
Status Finish(const model::FlatModel& flat, manifest::Partition* partition) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<std::string> operands,
                        model::CallOperands(flat, package::ToEncoded(*partition)));
  std::erase_if(partition->inputs, [&operands](const manifest::BoundaryValue& input) {
    return std::find(operands.begin(), operands.end(), input.name) == operands.end();
  });
  BCTX_ASSIGN_OR_RETURN(partition->structure_digest,
                        package::PartitionDigest(flat.view(), package::ToEncoded(*partition)));
  return OkStatus();
}

// Other names that a runtime may leave of a boundary value; those made inside are not looked for.
void FillEqualValues(const scope::ValueClasses& classes, const model::GraphView& graph,
                     const scope::Partition& span, manifest::Partition* partition) {
  constexpr size_t kMostNames = 256;
  std::set<std::string> inside;
  for (const size_t node : span.nodes) {
    inside.insert(graph.nodes[node].outputs.begin(), graph.nodes[node].outputs.end());
  }
  const auto fill = [&](manifest::BoundaryValue* value) {
    if (value->role != manifest::ValueRole::kActivation) return;
    value->equal_values = classes.EqualTo(value->name, kMostNames);
    std::erase_if(value->equal_values, [&inside](const std::string& name) {
      return inside.contains(name) || !base::IsCleanText(name);
    });
  };
  for (manifest::BoundaryValue& input : partition->inputs) fill(&input);
  for (manifest::BoundaryValue& output : partition->outputs) fill(&output);
}

// A manifest holds clean text only; a region that would have to name anything else stays as it is.
Status CheckNames(const manifest::Partition& partition) {
  std::vector<std::string> names = partition.nodes;
  names.push_back(partition.graph_path);
  for (const auto* values : {&partition.inputs, &partition.outputs}) {
    for (const manifest::BoundaryValue& value : *values) {
      names.push_back(value.name);
      for (const manifest::Dim& dim : value.dims) names.push_back(dim.symbol);
    }
  }
  for (const std::string& name : names) {
    if (base::IsCleanText(name)) continue;
    return Status(StatusCode::kUnimplemented,
                  fmt::format("the name \"{}\" has control characters or is no UTF-8",
                              base::Printable(name)));
  }
  return OkStatus();
}

}  // namespace

Result<Region> RegionMaker::Make(const scope::Partition& span, const std::string& id,
                                 const std::string& function) {
  Region region;
  region.graph = &graph_;
  region.nodes = span.nodes;
  region.partition = ToManifest(graph_, span, variant_, id, function);
  BCTX_RETURN_IF_ERROR(CheckNames(region.partition));
  BCTX_RETURN_IF_ERROR(Finish(flat_, &region.partition));
  if (!classes_) classes_.emplace(flat_.view(), graph_);
  FillEqualValues(*classes_, graph_, span, &region.partition);
  return region;
}

Result<Region> SingleNode(const model::FlatModel& flat, const model::GraphView& graph, size_t node,
                          const std::string& variant, const std::string& id,
                          const std::string& function) {
  BCTX_ASSIGN_OR_RETURN(const scope::Partition span, scope::Span(graph, {node}));
  Region region;
  region.graph = &graph;
  region.nodes = span.nodes;
  region.partition = ToManifest(graph, span, variant, id, function);
  BCTX_RETURN_IF_ERROR(CheckNames(region.partition));
  BCTX_RETURN_IF_ERROR(Finish(flat, &region.partition));
  return region;
}

Status ForEachGraph(const model::FlatModel& flat, const VisitGraph& visit) {
  std::map<std::string, size_t> times;
  const std::vector<const model::GraphView*> graphs = model::AllGraphs(flat.view());
  for (const model::GraphView* graph : graphs) ++times[graph->path];
  std::set<std::string> within;
  for (const model::GraphView* graph : graphs) {  // outer ones first
    if (within.contains(graph->path) || (graph->parent && within.contains(graph->parent->path))) {
      within.insert(graph->path);
      continue;
    }
    BCTX_ASSIGN_OR_RETURN(const std::vector<std::string> inner,
                          visit(*graph, times[graph->path] == 1));
    within.insert(inner.begin(), inner.end());
  }
  return OkStatus();
}

std::vector<std::string> InnerPaths(const Regions& regions, size_t first) {
  std::vector<std::string> paths;
  for (size_t i = first; i < regions.regions.size(); ++i) {
    const Region& region = regions.regions[i];
    for (const size_t node : region.nodes) {
      for (const model::Attribute& attribute : region.graph->nodes[node].attributes) {
        if (attribute.graph) paths.push_back(attribute.graph->path);
      }
    }
  }
  return paths;
}

}  // namespace backendctx::authoring
