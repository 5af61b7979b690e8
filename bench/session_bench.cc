// What opening a package to a ready session takes beside ONNX Runtime's own session of the model
// that was packed: `bench_session PACKAGE.onnx ...`, packages that are trusted here. The two take
// turns; of each the least and the median of 15 are told, in milliseconds of wall clock with one
// thread. The first opening is told apart: in it drivers load code, which a process does once.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "backendctx/session.h"
#include "runtime/runtime.h"

namespace backendctx::bench {
namespace {

constexpr int kRounds = 15;

double Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

Status OpenPlain(const ort::Runtime& runtime, const OrtEnv* env, const std::string& path,
                 double* milliseconds) {
  const double start = Now();
  ort::SessionOptions options;
  BCTX_RETURN_IF_ERROR(runtime.Make(runtime.api().CreateSessionOptions, &options));
  BCTX_RETURN_IF_ERROR(runtime.Check(runtime.api().SetIntraOpNumThreads(options.get(), 1)));
  ort::Session session;
  const OrtSessionOptions* const chosen = options.get();
  BCTX_RETURN_IF_ERROR(
      runtime.Make(runtime.api().CreateSession, &session, env, path.c_str(), chosen));
  *milliseconds = Now() - start;
  return OkStatus();
}

Status OpenPackage(const std::string& path, SessionReport* report, double* milliseconds) {
  const double start = Now();
  SessionOptions options;
  options.runtime = BENCH_ORT_LIBRARY;
  options.threads = 1;
  BCTX_ASSIGN_OR_RETURN(const Session session, Session::Open(path, options));
  *milliseconds = Now() - start;
  *report = session.report();
  return OkStatus();
}

Status Measure(const std::string& path, const std::string& original) {
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(path, {}));
  BCTX_RETURN_IF_ERROR(package.Restore(original, "", false));
  BCTX_ASSIGN_OR_RETURN(const ort::Runtime runtime, ort::Runtime::Open(BENCH_ORT_LIBRARY));
  ort::Env env;
  const char* const name = "bench";
  BCTX_RETURN_IF_ERROR(runtime.Make(runtime.api().CreateEnv, &env, ORT_LOGGING_LEVEL_FATAL, name));
  double first = 0;
  std::vector<double> plain(kRounds), ours(kRounds);
  SessionReport report;
  BCTX_RETURN_IF_ERROR(OpenPlain(runtime, env.get(), original, &plain[0]));
  BCTX_RETURN_IF_ERROR(OpenPackage(path, &report, &first));
  for (int i = 0; i < kRounds; ++i) {
    const auto at = static_cast<size_t>(i);
    BCTX_RETURN_IF_ERROR(OpenPlain(runtime, env.get(), original, &plain[at]));
    BCTX_RETURN_IF_ERROR(OpenPackage(path, &report, &ours[at]));
  }
  std::sort(plain.begin(), plain.end());
  std::sort(ours.begin(), ours.end());
  const size_t middle = kRounds / 2;
  std::printf("%s: %zu compiled, %zu interpreted, lowered for %zu scopes\n", path.c_str(),
              report.compiled, report.interpreted, report.lowered_for.size());
  std::printf("  ONNX Runtime %8.2f %8.2f\n  Session      %8.2f %8.2f  first %.2f\n", plain[0],
              plain[middle], ours[0], ours[middle], first);
  std::printf("  ratio        %8.2f %8.2f\n", ours[0] / plain[0], ours[middle] / plain[middle]);
  return OkStatus();
}

}  // namespace
}  // namespace backendctx::bench

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  if (argc < 2) std::puts("bench_session PACKAGE.onnx ...: name packages to be opened");
  const fs::path folder = fs::temp_directory_path() / ("bench-session-" + std::to_string(getpid()));
  int failed = 0;
  for (int i = 1; i < argc; ++i) {
    fs::create_directory(folder);
    const backendctx::Status status =
        backendctx::bench::Measure(argv[i], (folder / "model.onnx").string());
    if (!status.ok()) std::fprintf(stderr, "bench_session: %s\n", status.message().c_str());
    failed |= status.ok() ? 0 : 1;
    fs::remove_all(folder);
  }
  return failed;
}
