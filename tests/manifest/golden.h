// What the golden files hold: made anew by the test, and written by scripts/golden.
//
// The key is that of RFC 8032, section 7.1, test 1: Ed25519 signatures are deterministic, so that a
// signed package has one byte string.
#pragma once

#include <string>
#include <vector>

#include "container/container.h"

namespace backendctx::test {

struct GoldenFile {
  std::string name;
  std::string bytes;
};

// In the order in which docs/format.md describes them: a manifest, an envelope, a container.
Result<std::vector<GoldenFile>> MakeGolden();
// A container with a compressed blob. Its frame depends on the version of zstd, so that it is read
// back and not compared.
Result<GoldenFile> MakeCompressedGolden();

}  // namespace backendctx::test
