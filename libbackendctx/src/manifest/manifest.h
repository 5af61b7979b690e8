// The manifest's bytes <-> the plain structs of <backendctx/manifest.h>.
//
// Encode is deterministic (lists are kept in the order given; authoring sorts them) and checks
// nothing. Parse validates: every reference resolves, ids are unique, digests have their length,
// names are clean UTF-8 without control characters, counts and sizes are within limits; what fails
// is Malformed, UnsupportedVersion (an unknown required feature) or ResourceExhausted, with the
// field named: "partitions[3].inputs[0].role". Unknown fields are kept out: signed bytes are never
// re-serialised, so nothing is lost. An unknown Predicate or WeightsKind is kept as its number, and
// is for the selection to judge unsupported.
//
// Threads: pure functions.
#pragma once

#include <span>

#include "backendctx/manifest.h"
#include "backendctx/status.h"

namespace backendctx::manifest {

struct Limits {
  uint64_t manifest_bytes = 64u << 20;
  uint64_t items = 1u << 20;  // of all lists together
};

std::string Encode(const Manifest& manifest);
Result<Manifest> Parse(std::span<const uint8_t> bytes, const Limits& limits);

}  // namespace backendctx::manifest
