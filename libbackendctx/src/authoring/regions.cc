#include "authoring/regions.h"

#include <algorithm>

#include "authoring/describe.h"
#include "authoring/make_region.h"
#include "fmt/format.h"
#include "scope/partition.h"

namespace backendctx::authoring {
namespace {

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

// Finds what of one graph can be a partition, takes what holds together as a cover.
class GraphRegions {
 public:
  GraphRegions(const model::FlatModel& flat, const model::GraphView& graph,
               const std::string& variant, Regions* out)
      : flat_(flat), graph_(graph), out_(*out), maker_(flat, graph, variant) {}

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
    const size_t number = out_.regions.size();
    Result<Region> region = maker_.Make(candidate->span, fmt::format("attention-{}", number),
                                        fmt::format("BackendContext_Attention_{}", number));
    if (!region && region.error().code() == StatusCode::kUnimplemented) {
      Refuse(candidate->attention, region.error().message());
      return OkStatus();
    }
    if (!region) return region.status();
    out_.taken.push_back({region->partition.id,
                          graph_.path,
                          candidate->attention.form,
                          {},
                          candidate->attention.nodes.size(),
                          region->partition.structure_digest.Hex(),
                          DescribeAttention(candidate->attention),
                          DescribeValues(region->partition.inputs),
                          DescribeValues(region->partition.outputs)});
    region->attention = std::move(candidate->attention);
    out_.regions.push_back(std::move(*region));
    return OkStatus();
  }

  const model::FlatModel& flat_;
  const model::GraphView& graph_;
  Regions& out_;
  RegionMaker maker_;
  std::vector<Candidate> candidates_;
};

}  // namespace

Result<Regions> FindRegions(const model::FlatModel& flat, const std::string& variant) {
  Regions regions;
  const auto search = [&](const model::GraphView& graph,
                          bool path_is_unique) -> Result<std::vector<std::string>> {
    const size_t before = regions.regions.size();
    BCTX_RETURN_IF_ERROR(GraphRegions(flat, graph, variant, &regions).Run(path_is_unique));
    return InnerPaths(regions, before);
  };
  BCTX_RETURN_IF_ERROR(ForEachGraph(flat, search));
  for (const patterns::NotTaken& inside : patterns::LookIntoFunctions(flat.view())) {
    regions.not_taken.push_back({"", inside.node, inside.op, inside.reason});
  }
  return regions;
}

}  // namespace backendctx::authoring
