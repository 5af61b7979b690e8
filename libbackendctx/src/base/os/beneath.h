// Inside base/os and its tests only: the two ways to resolve a name below a folder.
#pragma once

#include <string>
#include <string_view>

#include "base/os/file.h"

namespace backendctx::os {

enum class Resolver {
  kKernel,   // openat2 with RESOLVE_BENEATH where it is enough, else as kChecked
  kChecked,  // the resolved path is compared, then opened step by step without following links
};

Result<File> OpenBeneath(const std::string& folder, std::string_view name, Resolver resolver);
Result<File> OpenBeside(const std::string& front_path, std::string_view name, Resolver resolver);

}  // namespace backendctx::os
