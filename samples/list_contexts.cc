// What a deployment tool asks before it downloads or ships anything: which code of a package would
// run on a machine, judged from the machine's profile alone.
//
//   list_contexts PACKAGE [HOST.json]      HOST.json: what `bctx-inspect host --json` printed there
//
// Opens a front, or the container alone. Reads the manifest; no code and no weight is looked at.
#include <backendctx/package.h>
#include <backendctx/selection.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using namespace backendctx;

Result<HostProfile> Profile(const char* path) {
  if (path == nullptr) return HostProfile::Detect();
  std::ifstream file(path);
  if (!file) return Status(StatusCode::kIo, std::string(path) + ": cannot be read");
  return HostProfile::FromJson({std::istreambuf_iterator<char>(file), {}});
}

Status List(const std::string& path, const char* profile_path) {
  BCTX_ASSIGN_OR_RETURN(const HostProfile profile, Profile(profile_path));
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(path, {}));
  std::printf("%s: %zu contexts, %s\n", package.manifest().name.c_str(),
              package.manifest().contexts.size(),
              package.trust().signatures.empty() ? "not signed" : "signed");
  for (const manifest::Context& context : package.manifest().contexts) {
    std::string missing;
    const manifest::Partition* partition = package.manifest().FindPartition(context.partition);
    const Verdict verdict = Judge(context.requirements, profile, partition, &missing);
    std::printf("  %-40s %s%s%s\n", context.id.c_str(), VerdictName(verdict),
                missing.empty() ? "" : ": ", missing.c_str());
  }
  return OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fputs("usage: list_contexts PACKAGE [HOST.json]\n", stderr);
    return 2;
  }
  const Status status = List(argv[1], argc == 3 ? argv[2] : nullptr);
  if (status.ok()) return 0;
  std::fprintf(stderr, "list_contexts: %s\n", status.message().c_str());
  return ExitCode(status.code());
}
