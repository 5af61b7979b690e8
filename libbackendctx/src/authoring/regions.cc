#include "authoring/regions.h"

#include <algorithm>

#include "base/text.h"
#include "fmt/format.h"
#include "package/state.h"
#include "scope/partition.h"

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

// The recognised region and the span of its nodes must name the same boundary: the kernel is called
// with what the span says.
Status CheckBoundary(const patterns::Attention& attention, const scope::Partition& span) {
  std::vector<std::string> recognised = attention.inputs, spanned = span.activations;
  std::sort(recognised.begin(), recognised.end());
  std::sort(spanned.begin(), spanned.end());
  if (recognised == spanned && attention.outputs == span.outputs && span.outputs.size() == 1) {
    return OkStatus();
  }
  return Status(StatusCode::kInternal,
                fmt::format("the boundary has {} inputs and {} outputs, recognised were {} and {}",
                            spanned.size(), span.outputs.size(), recognised.size(),
                            attention.outputs.size()));
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
                        package::PartitionDigest(flat, package::ToEncoded(*partition)));
  return OkStatus();
}

void Refuse(const model::GraphView& graph, size_t node, const std::string& reason, Regions* out) {
  const model::Node& at = graph.nodes[node];
  out->not_taken.push_back({graph.path, at.name.empty() ? at.Key() : at.name, at.op_type, reason});
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

// Takes the regions of one graph that hold together as a cover.
Status TakeFrom(const model::FlatModel& flat, const model::GraphView& graph,
                const std::string& variant, Regions* out) {
  patterns::AttentionReport report = patterns::FindAttention(flat.view(), graph);
  std::vector<scope::Partition> cover;
  for (patterns::Attention& attention : report.found) {
    const size_t last = attention.nodes.back();
    Result<scope::Partition> span = scope::Span(graph, attention.nodes);
    Status fits = span ? CheckBoundary(attention, *span) : span.status();
    if (fits.ok()) {
      cover.push_back(*span);
      fits = scope::CheckCover(graph, cover);
      if (!fits.ok()) cover.pop_back();
    }
    if (!fits.ok()) {
      Refuse(graph, last, fits.message(), out);
      continue;
    }
    Region region;
    const size_t number = out->regions.size();
    region.partition = ToManifest(graph, *span, variant, fmt::format("attention-{}", number),
                                  fmt::format("BackendContext_Attention_{}", number));
    if (const Status clean = CheckNames(region.partition); !clean.ok()) {
      cover.pop_back();
      Refuse(graph, last, clean.message(), out);
      continue;
    }
    BCTX_RETURN_IF_ERROR(Finish(flat, &region.partition));
    out->taken.push_back({region.partition.id, graph.path, attention.form, attention.nodes.size(),
                          region.partition.structure_digest.Hex()});
    region.attention = std::move(attention);
    region.graph = &graph;
    out->regions.push_back(std::move(region));
  }
  for (const patterns::NotTaken& not_taken : report.not_taken) {
    out->not_taken.push_back({graph.path, not_taken.node, not_taken.op, not_taken.reason});
  }
  return OkStatus();
}

}  // namespace

Result<Regions> FindRegions(const model::FlatModel& flat, const std::string& variant) {
  Regions regions;
  for (const model::GraphView* graph : model::AllGraphs(flat.view())) {
    BCTX_RETURN_IF_ERROR(TakeFrom(flat, *graph, variant, &regions));
  }
  for (const patterns::NotTaken& inside : patterns::LookIntoFunctions(flat.view())) {
    regions.not_taken.push_back({"", inside.node, inside.op, inside.reason});
  }
  return regions;
}

Result<Region> SingleNode(const model::FlatModel& flat, const model::GraphView& graph, size_t node,
                          const std::string& variant, const std::string& id,
                          const std::string& function) {
  BCTX_ASSIGN_OR_RETURN(const scope::Partition span, scope::Span(graph, {node}));
  Region region;
  region.graph = &graph;
  region.partition = ToManifest(graph, span, variant, id, function);
  BCTX_RETURN_IF_ERROR(CheckNames(region.partition));
  BCTX_RETURN_IF_ERROR(Finish(flat, &region.partition));
  return region;
}

}  // namespace backendctx::authoring
