// Opens a package through the installed library, decides what would run here, loads the provider as
// a host does, and looks at what the process then holds. Prints "KEY VALUE" lines.
//
//   consumer PACKAGE TRUSTED_KEY
#include <backendctx/digest.h>
#include <backendctx/manifest.h>
#include <backendctx/package.h>
#include <backendctx/plugin_abi.h>
#include <backendctx/selection.h>
#include <backendctx/status.h>
#include <backendctx/trust.h>
#include <backendctx/version.h>
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace {

using namespace backendctx;

Status Look(const std::string& path, const std::string& key) {
  OpenOptions options;
  BCTX_ASSIGN_OR_RETURN(options.trusted_keys, LoadTrustedKeys({key}));
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(path, options));
  const VerifyReport report = package.Verify({});
  BCTX_RETURN_IF_ERROR(report.first_error);
  int chosen = 0;
  for (const Decision& decision : package.Decide(HostProfile::Detect(), Policy{}, std::nullopt)) {
    chosen += decision.outcome == Outcome::kChosen ? 1 : 0;
  }
  std::printf("contexts %zu\nchosen %d\n", package.manifest().contexts.size(), chosen);
  return OkStatus();
}

// Whether a file is mapped whose name has `part`.
bool Holds(const std::string& part) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (const Status status = Look(argv[1], argv[2]); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return ExitCode(status.code());
  }
  if (dlopen(PROVIDER, RTLD_NOW | RTLD_LOCAL) == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  std::printf("version %s\nlibrary %d\nprovider %d\nLLVM %d\nlld %d\n", LibraryVersion(),
              Holds("libbackendctx.so"), Holds("libbackendctx_ort.so"), Holds("LLVM"),
              Holds("liblld"));
  return 0;
}
