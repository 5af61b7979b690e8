#include "provider/matching.h"

#include <fmt/format.h>

#include <filesystem>
#include <span>

#include "crypto/sha256.h"

namespace backendctx::ort {
namespace {

using manifest::BoundaryValue;
using manifest::ValueRole;

std::string CompareDims(const TensorType& found, const BoundaryValue& expected) {
  if (!found.has_shape || !expected.has_shape) return "";
  if (found.dims.size() != expected.dims.size()) {
    return fmt::format("has rank {}, expected {}", found.dims.size(), expected.dims.size());
  }
  for (size_t i = 0; i < found.dims.size(); ++i) {
    const int64_t dim = found.dims[i], wanted = expected.dims[i].value;
    if (dim >= 0 && wanted >= 0 && dim != wanted) {
      return fmt::format("has dimension {} = {}, expected {}", i, dim, wanted);
    }
  }
  return "";
}

std::string CompareTypes(const TensorType& found, const BoundaryValue& expected) {
  if (found.element_type != 0 && expected.element_type != 0 &&
      found.element_type != expected.element_type) {
    return fmt::format("has element type {}, expected {}", found.element_type,
                       expected.element_type);
  }
  return CompareDims(found, expected);
}

// The digest of a constant's bytes: known from its place in the container, else computed.
Result<Digest> DigestOf(const GraphReader& reader, const OrtValueInfo* value,
                        const WeightIndex& weights) {
  BCTX_ASSIGN_OR_RETURN(const std::optional<ExternalPlace> place, reader.Place(value));
  if (place) {
    if (const Digest* known = weights.Find(*place)) return *known;
  }
  BCTX_ASSIGN_OR_RETURN(const auto bytes, reader.Bytes(value));
  return crypto::Sha256(
      std::span<const uint8_t>(static_cast<const uint8_t*>(bytes.first), bytes.second));
}

// A weight that comes with every run may have other values; all other constants are in the code.
bool IsInCode(const BoundaryValue& value, const manifest::Context& context) {
  if (value.role == ValueRole::kConstant) return true;
  return value.role == ValueRole::kWeight && context.weights != manifest::WeightsKind::kNone &&
         context.weights != manifest::WeightsKind::kInputs;
}

// Constants are a part of what was compiled, and code that uses no weights does not miss one.
bool MayBeAbsent(const BoundaryValue& value, const manifest::Context& context) {
  return value.role == ValueRole::kConstant ||
         (value.role == ValueRole::kWeight && context.weights == manifest::WeightsKind::kNone);
}

Result<std::string> CompareInput(const GraphReader& reader, const Port& port,
                                 const BoundaryValue& expected, const manifest::Context& context,
                                 const WeightIndex& weights) {
  if (port.info == nullptr) {
    return std::string(MayBeAbsent(expected, context) ? "" : "is absent");
  }
  BCTX_ASSIGN_OR_RETURN(const TensorType type, reader.Type(port.info));
  if (std::string why = CompareTypes(type, expected); !why.empty()) return why;
  if (expected.role == ValueRole::kActivation) return std::string();
  BCTX_ASSIGN_OR_RETURN(const bool is_constant, reader.IsConstant(port.info));
  if (!is_constant) return std::string("is no constant any more");
  if (!IsInCode(expected, context) || !expected.content) return std::string();
  BCTX_ASSIGN_OR_RETURN(const Digest digest, DigestOf(reader, port.info, weights));
  if (digest == *expected.content) return std::string();
  return fmt::format("has other values: digest {}..., expected {}...", digest.Hex().substr(0, 12),
                     expected.content->Hex().substr(0, 12));
}

}  // namespace

WeightIndex::WeightIndex(const Package& package) {
  std::error_code error;
  container_ = std::filesystem::canonical(package.container_path(), error).string();
  for (const StoredContent& content : package.contents()) {
    if (content.kind == "tensor" && content.storage == "raw") {
      by_place_[{content.offset, content.stored_size}] = content.digest;
    }
  }
}

const Digest* WeightIndex::Find(const ExternalPlace& place) const {
  const auto it = by_place_.find({place.offset, place.size});
  if (it == by_place_.end()) return nullptr;
  std::error_code error;
  const std::string file = std::filesystem::canonical(place.file, error).string();
  return !error && file == container_ ? &it->second : nullptr;
}

Result<std::string> WhyStale(const GraphReader& reader, const CallPorts& call,
                             const manifest::Partition& partition, const manifest::Context& context,
                             const WeightIndex& weights) {
  const auto count = [](const char* what, size_t found, size_t expected) {
    return fmt::format("the call has {} {}, expected {}", found, what, expected);
  };
  if (call.inputs.size() != partition.inputs.size()) {
    return count("operands", call.inputs.size(), partition.inputs.size());
  }
  if (call.outputs.size() != partition.outputs.size()) {
    return count("outputs", call.outputs.size(), partition.outputs.size());
  }
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    BCTX_ASSIGN_OR_RETURN(
        const std::string why,
        CompareInput(reader, call.inputs[i], partition.inputs[i], context, weights));
    if (!why.empty()) return fmt::format("operand {} ({}) {}", i, call.inputs[i].name, why);
  }
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (call.outputs[i].info == nullptr) continue;
    BCTX_ASSIGN_OR_RETURN(const TensorType type, reader.Type(call.outputs[i].info));
    const std::string why = CompareTypes(type, partition.outputs[i]);
    if (!why.empty()) return fmt::format("output {} ({}) {}", i, call.outputs[i].name, why);
  }
  return std::string();
}

}  // namespace backendctx::ort
