// Files that a verb writes beside its result on stdout.
//
// Threads: plain functions.
#pragma once

#include <backendctx/status.h>

#include <string>
#include <vector>

namespace backendctx::tools {

// InvalidArgument: `path` is one of `inputs` (by another name, too), or exists without `force`.
// UnsafePath: it is there and no regular file.
Status CheckOutputFile(const std::string& path, const std::vector<std::string>& inputs, bool force);

// Checks, then writes: the file is complete or as it was.
Status WriteOutputFile(const std::string& path, const std::string& bytes,
                       const std::vector<std::string>& inputs, bool force);

}  // namespace backendctx::tools
