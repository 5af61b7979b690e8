// Flags on the form of a package's files, for the verbs that have them.
#pragma once

#include <backendctx/encode.h>

#include <string>

namespace backendctx::tools {

// function | metadata | both; `flag` is what an error names.
Result<FrontEncoding> ParseEncoding(const std::string& flag, const std::string& text);

// none | zstd[:LEVEL]
Result<Compression> ParseCompression(const std::string& text);

}  // namespace backendctx::tools
