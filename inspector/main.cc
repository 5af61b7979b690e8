#include <backendctx/version.h>
#include <fmt/format.h>

#include <csignal>

#include "inspector/verbs.h"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error like any other
  using namespace backendctx;
  const std::string version = fmt::format("bctx-inspect {}\nonnx {}\nONNX Runtime API {}",
                                          LibraryVersion(), BCTX_ONNX_VERSION, BCTX_ORT_API);
  tools::CommandLine line("bctx-inspect", "reads BackendContext packages, never changes them",
                          version);
  tools::AddShow(line);
  tools::AddVerify(line);
  tools::AddWhy(line);
  tools::AddSize(line);
  tools::AddOps(line);
  tools::AddRun(line);
  tools::AddExtract(line);
  tools::AddHost(line);
  return line.Run(argc, argv);
}
