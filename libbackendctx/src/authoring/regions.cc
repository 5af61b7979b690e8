#include "authoring/regions.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "authoring/describe.h"
#include "base/text.h"
#include "fmt/format.h"
#include "package/state.h"
#include "scope/equal_values.h"
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

// Finds what of one graph can be a partition, takes what holds together as a cover.
class GraphRegions {
 public:
  GraphRegions(const model::FlatModel& flat, const model::GraphView& graph,
               const std::string& variant, Regions* out)
      : flat_(flat), graph_(graph), variant_(variant), out_(*out) {}

  Status Run(bool path_is_unique) {
    patterns::AttentionReport report = patterns::FindAttention(flat_.view(), graph_);
    for (patterns::Attention& attention : report.found) {
      if (path_is_unique) {
        AddCandidate(std::move(attention));
      } else {
        Refuse(attention, "another graph has the same path");
      }
    }
    BCTX_RETURN_IF_ERROR(TakeCover());
    for (const patterns::NotTaken& not_taken : report.not_taken) {
      out_.not_taken.push_back({graph_.path, not_taken.node, not_taken.op, not_taken.reason});
    }
    return OkStatus();
  }

 private:
  struct Candidate {
    patterns::Attention attention;
    scope::Partition span;
  };

  void Refuse(const patterns::Attention& attention, const std::string& reason) {
    const model::Node& at = graph_.nodes[attention.nodes.back()];
    out_.not_taken.push_back(
        {graph_.path, at.name.empty() ? at.Key() : at.name, at.op_type, reason});
  }

  void AddCandidate(patterns::Attention attention) {
    Result<scope::Partition> span = scope::Span(graph_, attention.nodes);
    const Status fits = span ? CheckBoundary(attention, *span) : span.status();
    if (!fits.ok()) return Refuse(attention, fits.message());
    candidates_.push_back({std::move(attention), std::move(*span)});
  }

  // All of them together nearly always; else one by one, each that fits those before it.
  Status TakeCover() {
    std::vector<scope::Partition> cover;
    for (const Candidate& candidate : candidates_) cover.push_back(candidate.span);
    const bool all = scope::CheckCover(graph_, cover).ok();
    if (!all) cover.clear();
    for (Candidate& candidate : candidates_) {
      if (!all) {
        cover.push_back(candidate.span);
        const Status fits = scope::CheckCover(graph_, cover);
        if (!fits.ok()) {
          cover.pop_back();
          Refuse(candidate.attention, fits.message());
          continue;
        }
      }
      BCTX_RETURN_IF_ERROR(Take(&candidate));
    }
    return OkStatus();
  }

  // What an encoding or a digest cannot carry stays in the graph, and the reason is said.
  Status Take(Candidate* candidate) {
    Region region;
    const size_t number = out_.regions.size();
    region.partition =
        ToManifest(graph_, candidate->span, variant_, fmt::format("attention-{}", number),
                   fmt::format("BackendContext_Attention_{}", number));
    const Status carried = Carry(&region.partition);
    if (carried.code() == StatusCode::kUnimplemented) {
      Refuse(candidate->attention, carried.message());
      return OkStatus();
    }
    BCTX_RETURN_IF_ERROR(carried);
    if (!classes_) classes_.emplace(flat_.view(), graph_);
    FillEqualValues(*classes_, graph_, candidate->span, &region.partition);
    out_.taken.push_back(
        {region.partition.id, graph_.path, candidate->attention.form,
         candidate->attention.nodes.size(), region.partition.structure_digest.Hex(),
         DescribeAttention(candidate->attention), DescribeValues(region.partition.inputs),
         DescribeValues(region.partition.outputs)});
    region.nodes = candidate->span.nodes;
    region.attention = std::move(candidate->attention);
    region.graph = &graph_;
    out_.regions.push_back(std::move(region));
    return OkStatus();
  }

  Status Carry(manifest::Partition* partition) const {
    BCTX_RETURN_IF_ERROR(CheckNames(*partition));
    return Finish(flat_, partition);
  }

  const model::FlatModel& flat_;
  const model::GraphView& graph_;
  const std::string& variant_;
  Regions& out_;
  std::vector<Candidate> candidates_;
  std::optional<scope::ValueClasses> classes_;  // made when the first region is taken
};

// The paths of the graphs below the nodes of the region.
void AddInnerPaths(const Region& region, std::set<std::string>* paths) {
  for (const size_t node : region.nodes) {
    for (const model::Attribute& attribute : region.graph->nodes[node].attributes) {
      if (attribute.graph) paths->insert(attribute.graph->path);
    }
  }
}

}  // namespace

Result<Regions> FindRegions(const model::FlatModel& flat, const std::string& variant) {
  Regions regions;
  std::map<std::string, size_t> times;
  const std::vector<const model::GraphView*> graphs = model::AllGraphs(flat.view());
  for (const model::GraphView* graph : graphs) ++times[graph->path];
  std::set<std::string> within;  // paths of graphs within regions: no region within a region
  for (const model::GraphView* graph : graphs) {  // outer ones first
    if (within.contains(graph->path) || (graph->parent && within.contains(graph->parent->path))) {
      within.insert(graph->path);
      continue;
    }
    const size_t before = regions.regions.size();
    BCTX_RETURN_IF_ERROR(
        GraphRegions(flat, *graph, variant, &regions).Run(times[graph->path] == 1));
    for (size_t i = before; i < regions.regions.size(); ++i) {
      AddInnerPaths(regions.regions[i], &within);
    }
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
  region.nodes = span.nodes;
  region.partition = ToManifest(graph, span, variant, id, function);
  BCTX_RETURN_IF_ERROR(CheckNames(region.partition));
  BCTX_RETURN_IF_ERROR(Finish(flat, &region.partition));
  return region;
}

}  // namespace backendctx::authoring
