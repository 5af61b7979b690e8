// Which partitions become functions of a front: all that are disjoint, those of preferred scopes
// first. Functions cannot carry two partitions that share a node, nor one in a subgraph of
// another's node; the metadata encoding carries every one.

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "package/state.h"

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
  return order;
}

// The nodes that are in functions already.
class Taken {
 public:
  bool Overlaps(const Partition& partition) const {
    for (const std::string& key : partition.nodes) {
      if (nodes_.contains({partition.graph_path, key})) return true;
      // A partition in a subgraph of this node.
      const std::string below = partition.graph_path + "/" + key + ".";
      const auto inner = paths_.lower_bound(below);
      if (inner != paths_.end() && inner->starts_with(below)) return true;
    }
    if (partition.graph_path.empty()) return false;
    return std::any_of(prefixes_.begin(), prefixes_.end(), [&](const std::string& prefix) {
      return partition.graph_path.starts_with(prefix);
    });
  }

  void Add(const Partition& partition) {
    paths_.insert(partition.graph_path);
    for (const std::string& key : partition.nodes) {
      nodes_.insert({partition.graph_path, key});
      prefixes_.insert(partition.graph_path + "/" + key + ".");
    }
  }

 private:
  std::set<std::pair<std::string, std::string>> nodes_;
  std::set<std::string> paths_, prefixes_;
};

}  // namespace

Result<std::vector<model::EncodedPartition>> FrontPartitions(const manifest::Manifest& manifest,
                                                             const std::string& variant,
                                                             model::Encoding encoding,
                                                             const std::vector<std::string>& prefer,
                                                             const BodyLookup& bodies) {
  BCTX_ASSIGN_OR_RETURN(const std::vector<size_t> order, Order(manifest, prefer));
  std::set<size_t> chosen;
  Taken taken;
  for (const size_t number : order) {
    const Partition& partition = manifest.partitions[number];
    if (partition.variant != variant) continue;
    if (encoding == model::Encoding::kFunction && taken.Overlaps(partition)) continue;
    taken.Add(partition);
    chosen.insert(number);
  }
  std::vector<model::EncodedPartition> partitions;
  for (const size_t number : chosen) {
    const Partition& partition = manifest.partitions[number];
    partitions.push_back(ToEncoded(partition));
    if (!partition.body || encoding == model::Encoding::kMetadata) continue;
    BCTX_ASSIGN_OR_RETURN(partitions.back().legal_body, bodies(*partition.body));
  }
  return partitions;
}

}  // namespace backendctx::package
