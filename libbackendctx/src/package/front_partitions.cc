// Which partitions become functions of a front: as many as fit together, legalised ones first,
// since without their bodies a runtime may refuse the front, then those of preferred scopes, then
// those that the manifest has first. What lies inside another one is a function that the other
// calls. Of two that cross one stays in the manifest alone; the metadata encoding carries every
// one.

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "package/covers.h"
#include "package/state.h"
#include "scope/nesting.h"

namespace backendctx::package {
namespace {

using manifest::Partition;

// Numbers of the partitions, in the order in which they are taken.
Result<std::vector<size_t>> Order(const manifest::Manifest& manifest,
                                  const std::vector<std::string>& prefer) {
  std::vector<size_t> order;
  std::set<size_t> ordered;
  const auto add = [&](size_t number) {
    if (ordered.insert(number).second) order.push_back(number);
  };
  for (const std::string& name : prefer) {
    const auto scope = std::find_if(manifest.scopes.begin(), manifest.scopes.end(),
                                    [&](const auto& one) { return one.name == name; });
    if (scope == manifest.scopes.end()) {
      return Status(StatusCode::kNotFound, fmt::format("the package has no scope '{}'", name));
    }
    for (const std::string& id : scope->contexts) {
      const manifest::Context* context = manifest.FindContext(id);
      const Partition* partition = context ? manifest.FindPartition(context->partition) : nullptr;
      if (partition) add(static_cast<size_t>(partition - manifest.partitions.data()));
    }
  }
  for (size_t i = 0; i < manifest.partitions.size(); ++i) add(i);
  std::stable_partition(order.begin(), order.end(), [&manifest](size_t number) {
    return manifest.partitions[number].body.has_value();
  });
  return order;
}

}  // namespace

Result<FrontChoice> ChooseFunctions(const manifest::Manifest& manifest, const std::string& variant,
                                    const std::vector<std::string>& prefer,
                                    const model::ModelView& view) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<size_t> order, Order(manifest, prefer));
  const GraphPaths graphs = PathsOf(view);
  std::vector<scope::NodeSet> sets;
  std::vector<size_t> numbers, places;  // number of each set; order of the sets
  for (const size_t number : order) {
    const Partition& partition = manifest.partitions[number];
    if (partition.variant != variant) continue;
    BCTX_ASSIGN_OR_RETURN(std::vector<size_t> nodes, NodesOf(partition, graphs));
    places.push_back(sets.size());
    numbers.push_back(number);
    sets.push_back({partition.id, graphs.at(partition.graph_path), std::move(nodes),
                    partition.body.has_value()});
  }
  const std::vector<std::string> reasons = scope::Nest(view, sets, places);
  FrontChoice choice;
  for (size_t i = 0; i < sets.size(); ++i) {
    if (reasons[i].empty()) {
      choice.functions.insert(numbers[i]);
    } else {
      choice.left_out.emplace(sets[i].name, reasons[i]);
    }
  }
  return choice;
}

Result<std::vector<model::EncodedPartition>> FrontPartitions(const manifest::Manifest& manifest,
                                                             const std::string& variant,
                                                             model::Encoding encoding,
                                                             const std::vector<std::string>& prefer,
                                                             const model::ModelView& view,
                                                             const BodyLookup& bodies) {
  std::vector<model::EncodedPartition> partitions;
  if (encoding == model::Encoding::kMetadata) {
    for (const Partition& partition : manifest.partitions) {
      if (partition.variant == variant) partitions.push_back(ToEncoded(partition));
    }
    return partitions;
  }
  BCTX_ASSIGN_OR_RETURN(const FrontChoice choice, ChooseFunctions(manifest, variant, prefer, view));
  for (const size_t number : choice.functions) {
    const Partition& partition = manifest.partitions[number];
    partitions.push_back(ToEncoded(partition));
    if (!partition.body) continue;
    BCTX_ASSIGN_OR_RETURN(partitions.back().legal_body, bodies(*partition.body));
  }
  return partitions;
}

}  // namespace backendctx::package
