// Opens a package through the installed Session.
//
//   host PACKAGE ONNXRUNTIME_LIBRARY
#include <backendctx/session.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  backendctx::SessionOptions options;
  options.runtime = argv[2];
  options.strict = true;
  const auto session = backendctx::Session::Open(argv[1], options);
  if (!session) {
    std::fprintf(stderr, "%s\n", session.status().message().c_str());
    return backendctx::ExitCode(session.status().code());
  }
  std::printf("%zu compiled\n", session->report().compiled);
  return 0;
}
