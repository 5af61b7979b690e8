// Is what the front would run still what was compiled? Asked of each partition of the front, from
// the front itself: tools that edit models keep our calls and change operands or bodies around
// them.

#include <map>

#include "fmt/format.h"
#include "package/state.h"

namespace backendctx::package {
namespace {

std::string CompareOperands(const manifest::Partition& partition, const model::Call& call) {
  if (call.operands.size() != partition.inputs.size()) {
    return fmt::format("the call has {} operands, expected {}", call.operands.size(),
                       partition.inputs.size());
  }
  for (size_t i = 0; i < call.operands.size(); ++i) {
    const int32_t found = call.operands[i].element_type,
                  expected = partition.inputs[i].element_type;
    if (found != 0 && expected != 0 && found != expected) {
      return fmt::format("operand '{}' has element type {}, expected {}", call.operands[i].name,
                         found, expected);
    }
  }
  return "";
}

std::string WhyStale(const manifest::Partition& partition, const model::Call& call) {
  std::string reason = CompareOperands(partition, call);
  if (!reason.empty()) return reason;
  if (!call.structure_digest) return call.structure_digest.error().message();
  const Digest& expected = partition.body_structure_digest.value_or(partition.structure_digest);
  if (*call.structure_digest != expected) {
    return fmt::format("the body in the front has structure digest {}..., packed was {}...",
                       call.structure_digest->Hex().substr(0, 12), expected.Hex().substr(0, 12));
  }
  return "";
}

}  // namespace

Result<std::vector<Binding>> Bind(const manifest::Manifest& manifest,
                                  const model::DecodedFront& front) {
  std::map<std::string, Binding> by_id;
  for (const manifest::Partition& partition : manifest.partitions) {
    by_id[partition.id] = {partition.id, "the front has no call of it"};
  }
  std::map<std::string, size_t> seen;
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
    const std::string reason = WhyStale(*partition, call);
    // Every call of a partition must hold for the partition to hold.
    Binding& binding = by_id[partition->id];
    if (seen[partition->id]++ == 0 || !reason.empty()) binding.stale = reason;
  }
  std::vector<Binding> bindings;
  for (const manifest::Partition& partition : manifest.partitions) {
    bindings.push_back(by_id[partition.id]);
  }
  return bindings;
}

}  // namespace backendctx::package
