// The blob that OpenVINO's CPU plug-in exports, as far as it is read before OpenVINO sees it:
//
//   "RR_UPCVO", u32 1, u64 length, label          what the blob needs, compared as a whole string
//   u64 {48, custom size, constants offset, constants size, graph offset, graph size}
//   custom XML, constants, graph XML              offsets count from the six numbers
//
// The importer trusts the six numbers: those that add up and lead outside end the process. So they
// are compared with the one layout that an exporter writes.
//
// A blob that holds no weights has, at each of its constants, where the bytes lie in the file that
// is named at import:
//
//   <attribute name="WeightlessCacheAttribute" version="0" original_dtype="FP32" bin_offset="0"
//    original_size="65536" />
//
// The exporter writes positions in the partition's weight table; a loader replaces them by where
// the table's entries lie in the package.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/outcome.h"

namespace backendctx::openvino {

struct BlobParts {
  std::string_view label, graph;  // views of the blob
  uint64_t constants = 0;         // bytes of constants inside
};
// Malformed: no blob of an exporter.
Outcome ParseBlob(std::string_view blob, BlobParts* parts);

// A constant of the graph that is elsewhere.
struct WeightPlace {
  size_t at = 0, length = 0;  // of the digits of its offset, in the graph's text
  uint64_t offset = 0, size = 0;
};
// In the order of the text. Malformed: an offset in another form than the exporter's, which might
// be read at import and not be seen here.
Outcome FindWeightPlaces(std::string_view graph, std::vector<WeightPlace>* places);

// The blob with every offset replaced. Malformed: one that is no entry of `weights`, whole.
Outcome RelocateBlob(std::string_view blob, const bctx_bound_weight* weights, size_t count,
                     std::string* relocated);

}  // namespace backendctx::openvino
