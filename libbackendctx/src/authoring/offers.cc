#include "authoring/offers.h"

#include <algorithm>
#include <cctype>

#include "authoring/describe.h"
#include "authoring/make_region.h"
#include "authoring/plugin_graph.h"
#include "fmt/format.h"
#include "scope/grouping.h"
#include "scope/partition.h"

namespace backendctx::authoring {
namespace {

// "openvino" -> "BackendContext_Openvino_0": a function's name is read in many tools.
std::string FunctionName(const std::string& backend, size_t number) {
  std::string name = backend;
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  std::replace(name.begin(), name.end(), '-', '_');
  return fmt::format("BackendContext_{}_{}", name, number);
}

class OfferRegions {
 public:
  OfferRegions(const model::FlatModel& flat, const std::string& variant,
               const plugin::Plugin& plugin, const BackendRequest& request, Regions* regions)
      : flat_(flat), variant_(variant), plugin_(plugin), out_(*regions) {
    for (const auto& [key, value] : request.options) {
      options_.push_back({key.c_str(), value.c_str()});
    }
  }

  // The regions that are inside of what was taken: their paths.
  Result<std::vector<std::string>> Ask(const model::GraphView& graph, bool path_is_unique) {
    const std::unique_ptr<PluginGraph> shown = PluginGraph::Whole(flat_, graph);
    if (!path_is_unique || shown->graph().node_count == 0) return std::vector<std::string>();
    bctx_offer_request request{};
    request.struct_size = sizeof(request);
    request.graph = &shown->graph();
    request.options = options_.data();
    request.option_count = options_.size();
    BCTX_ASSIGN_OR_RETURN(const plugin::Offer offer, plugin::AskOffer(plugin_, request));
    for (const auto& [node, reason] : offer.refusals) {
      Refuse(graph, shown->FlatNode(node), plugin_.backend() + ": " + reason);
    }
    std::vector<std::vector<size_t>> sets;
    std::vector<size_t> free;
    for (const plugin::Claim& claim : offer.claims) {
      std::vector<size_t> nodes;
      for (const size_t node : claim.nodes) nodes.push_back(shown->FlatNode(node));
      std::sort(nodes.begin(), nodes.end());
      if (claim.whole) {
        sets.push_back(std::move(nodes));
      } else {
        free.insert(free.end(), nodes.begin(), nodes.end());
      }
    }
    if (!free.empty()) {
      std::vector<std::vector<size_t>> grouped = scope::Group(graph, free);
      std::move(grouped.begin(), grouped.end(), std::back_inserter(sets));
    }
    return Take(graph, sets);
  }

 private:
  void Refuse(const model::GraphView& graph, size_t node, const std::string& reason) {
    const model::Node& at = graph.nodes[node];
    out_.not_taken.push_back(
        {graph.path, at.name.empty() ? at.Key() : at.name, at.op_type, reason});
  }

  Result<std::vector<std::string>> Take(const model::GraphView& graph,
                                        const std::vector<std::vector<size_t>>& sets) {
    RegionMaker maker(flat_, graph, variant_);
    std::vector<scope::Partition> cover;
    std::vector<std::string> inner;
    for (const std::vector<size_t>& nodes : sets) {
      Result<scope::Partition> span = scope::Span(graph, nodes);
      Status fits = span ? CheckTypes(graph, *span) : span.status();
      if (fits.ok()) {
        cover.push_back(*span);
        fits = scope::CheckCover(graph, cover);
        if (!fits.ok()) cover.pop_back();
      }
      if (fits.ok()) fits = AddRegion(graph, *span, &maker, &inner);
      if (fits.ok()) continue;
      if (fits.code() != StatusCode::kInvalidArgument &&
          fits.code() != StatusCode::kUnimplemented) {
        return fits;
      }
      Refuse(graph, nodes.front(),
             fmt::format("{}: {} nodes: {}", plugin_.backend(), nodes.size(), fits.message()));
    }
    return inner;
  }

  // A kernel's tensors have a type; without one on the boundary nothing could be bound.
  static Status CheckTypes(const model::GraphView& graph, const scope::Partition& span) {
    for (const auto* names : {&span.activations, &span.outputs}) {
      for (const std::string& name : *names) {
        const model::ValueType* type = graph.Type(name);
        if (type != nullptr && type->element_type != 0) continue;
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("the type of '{}', on the boundary, is not known", name));
      }
    }
    return OkStatus();
  }

  Status AddRegion(const model::GraphView& graph, const scope::Partition& span, RegionMaker* maker,
                   std::vector<std::string>* inner) {
    for (const size_t node : span.nodes) {
      for (const model::Attribute& attribute : graph.nodes[node].attributes) {
        if (attribute.graph) inner->push_back(attribute.graph->path);
      }
    }
    const size_t number = count_++;
    BCTX_ASSIGN_OR_RETURN(Region region,
                          maker->Make(span, fmt::format("{}-{}", plugin_.backend(), number),
                                      FunctionName(plugin_.backend(), number)));
    region.backends = {plugin_.backend()};
    out_.taken.push_back({region.partition.id, graph.path, "offer", region.backends,
                          span.nodes.size(), region.partition.structure_digest.Hex(), "",
                          DescribeValues(region.partition.inputs),
                          DescribeValues(region.partition.outputs)});
    out_.regions.push_back(std::move(region));
    return OkStatus();
  }

  const model::FlatModel& flat_;
  const std::string& variant_;
  const plugin::Plugin& plugin_;
  Regions& out_;
  std::vector<bctx_key_value> options_;
  size_t count_ = 0;
};

// The regions of one backend that makes offers.
Result<Regions> Offered(const model::FlatModel& flat, const std::string& variant,
                        const plugin::Plugin& plugin, const BackendRequest& request) {
  Regions regions;
  OfferRegions offers(flat, variant, plugin, request, &regions);
  BCTX_RETURN_IF_ERROR(ForEachGraph(flat, [&](const model::GraphView& graph, bool is_unique) {
    return offers.Ask(graph, is_unique);
  }));
  return regions;
}

// A set of nodes that is a region already gets more backends, and what was recognised of it.
void Add(Regions more, Regions* regions) {
  for (size_t i = 0; i < more.regions.size(); ++i) {
    Region& region = more.regions[i];
    const auto known =
        std::find_if(regions->regions.begin(), regions->regions.end(), [&](const Region& other) {
          return other.graph == region.graph && other.nodes == region.nodes;
        });
    if (known == regions->regions.end()) {
      regions->regions.push_back(std::move(region));
      regions->taken.push_back(std::move(more.taken[i]));
      continue;
    }
    TakenRegion& taken = regions->taken[static_cast<size_t>(known - regions->regions.begin())];
    known->backends.insert(known->backends.end(), region.backends.begin(), region.backends.end());
    taken.backends = known->backends;
    if (known->attention || !region.attention) continue;
    known->attention = std::move(region.attention);
    taken.form = more.taken[i].form;
    taken.attention = more.taken[i].attention;
  }
  std::move(more.not_taken.begin(), more.not_taken.end(), std::back_inserter(regions->not_taken));
}

}  // namespace

Result<Regions> TakeRegions(const model::FlatModel& flat, const std::string& variant,
                            const std::vector<plugin::Plugin>& plugins,
                            const std::vector<BackendRequest>& requests,
                            std::vector<std::string>* left_out) {
  std::vector<std::string> for_attention;  // these share the search
  for (const BackendRequest& request : requests) {
    const plugin::Plugin* compiler = plugin::FindCompiler(plugins, request.name);
    if (compiler != nullptr && compiler->table().offer == nullptr) {
      for_attention.push_back(request.name);
    }
  }
  Regions regions;
  bool is_searched = false;
  for (const BackendRequest& request : requests) {
    const plugin::Plugin* compiler = plugin::FindCompiler(plugins, request.name);
    if (compiler == nullptr) continue;  // said when it comes to compiling
    if (compiler->table().offer != nullptr) {
      Result<Regions> offered = Offered(flat, variant, *compiler, request);
      if (offered) {
        Add(std::move(*offered), &regions);
      } else if (offered.error().code() == StatusCode::kInvalidArgument) {
        return offered.status();  // an option that the backend does not take
      } else {
        left_out->push_back(offered.error().message());
      }
    } else if (!is_searched) {
      is_searched = true;
      BCTX_ASSIGN_OR_RETURN(Regions attention, FindRegions(flat, variant));
      for (Region& region : attention.regions) region.backends = for_attention;
      for (TakenRegion& taken : attention.taken) taken.backends = for_attention;
      Add(std::move(attention), &regions);
    }
  }
  return regions;
}

}  // namespace backendctx::authoring
