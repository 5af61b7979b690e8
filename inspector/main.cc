#include <backendctx/version.h>
#include <fmt/format.h>

#include "inspector/verbs.h"

int main(int argc, char** argv) {
  using namespace backendctx;
  const std::string version = fmt::format("bctx-inspect {}\nonnx {}\nONNX Runtime API {}",
                                          LibraryVersion(), BCTX_ONNX_VERSION, BCTX_ORT_API);
  tools::CommandLine line("bctx-inspect", "reads BackendContext packages, never changes them",
                          version);
  tools::AddShow(line);
  tools::AddVerify(line);
  tools::AddWhy(line);
  tools::AddSize(line);
  tools::AddHost(line);
  return line.Run(argc, argv);
}
