// A front against the stored graph, field by field: for fronts that another version of the encoder
// has written, which cannot be made again byte for byte.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "model/front.h"

namespace backendctx::model {

// The digest of the tensor that the container holds raw exactly there.
using PlaceDigest = std::function<std::optional<Digest>(const Placement&)>;

// Ok when the front is the stored graph after undoing what an encoding adds (docs/format.md, "What
// an encoding adds"), and nothing in it is unaccounted for. `partitions`: the ids that calls may
// name; `legalised`: those whose functions must have the body that the container holds. Corrupt
// naming the first difference; Malformed for what is no front. Cost: linear, and one digest of
// every tensor that is inside the front.
Status CompareFront(const FlatModel& flat, std::span<const uint8_t> front, const FrontTag& tag,
                    const std::set<std::string>& partitions, const PlaceDigest& places,
                    const std::vector<EncodedPartition>& legalised = {});

}  // namespace backendctx::model
