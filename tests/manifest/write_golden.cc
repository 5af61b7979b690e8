// write_golden FOLDER: writes the golden files; scripts/golden calls it.
#include <cstdio>

#include "base/os/file.h"
#include "manifest/golden.h"

int main(int argc, char** argv) {
  using namespace backendctx;  // NOLINT: a main of a few lines
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_golden FOLDER\n");
    return 2;
  }
  auto files = test::MakeGolden();
  const auto compressed = test::MakeCompressedGolden();
  if (!files || !compressed) {
    std::fprintf(stderr, "write_golden: %s\n",
                 (files ? compressed.status() : files.status()).message().c_str());
    return 1;
  }
  files->push_back(*compressed);
  for (const test::GoldenFile& file : *files) {
    const Status status =
        os::WriteFile(os::Join(argv[1], file.name), file.bytes, os::AtomicFile::kReplace);
    if (status.ok()) continue;
    std::fprintf(stderr, "write_golden: %s\n", status.message().c_str());
    return 9;
  }
  return 0;
}
