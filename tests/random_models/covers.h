// Random covers of several backends over one model, overlapping as they like, some of them illegal.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backendctx/manifest.h"
#include "model/flat_model.h"

namespace backendctx::tests {

// A manifest with partitions, one context of each scope's backend for each, and scopes "a", "b" and
// "c" of backends of the same names; no contents. `careful`: every scope is a cover; else it may be
// anything. Every partition is one that functions can carry.
manifest::Manifest RandomCovers(const model::FlatModel& flat, uint64_t seed, bool careful);

// What is wrong with a scope, found out the slow way: by walking from every node. Empty: nothing.
std::string WhyNoCover(const manifest::Manifest& manifest, const manifest::Scope& scope,
                       const model::ModelView& view);

// Whether `text` says what is wrong: a path, each of whose steps is one in the contracted graph and
// that comes back to where it began, or a node that is in two partitions.
bool IsReason(const std::string& text, const manifest::Manifest& manifest,
              const manifest::Scope& scope, const model::ModelView& view);

}  // namespace backendctx::tests
