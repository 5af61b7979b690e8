// What a session asks of a package besides its code: fronts that are in memory alone, and a front
// in which the partitions that were decided for are called.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/package.h"
#include "model/front.h"

namespace backendctx::package {

// As Package::Open of a file with these bytes in `folder`.
BCTX_API Result<Package> OpenFrontBytes(std::string front, const std::string& folder,
                                        const OpenOptions& options);

// Nothing: a plain model or a bare container.
BCTX_API std::optional<model::FrontTag> TagOf(const Package& package);

struct Lowered {
  std::string front;
  std::string declined;  // why there is none; empty: there is
};
// The front in the function encoding in which partitions of the scopes `prefer` become functions
// first. It is made from the stored graph; a front that is not what the contents give has something
// that would be lost, so it is declined, as is one that holds its container. NotFound: a scope.
BCTX_API Result<Lowered> Lower(const Package& package, const std::vector<std::string>& prefer);

}  // namespace backendctx::package
