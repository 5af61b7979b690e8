#include <backendctx/version.h>
#include <fmt/format.h>

#include <csignal>

#include "packager/verbs.h"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error like any other
  using namespace backendctx;
  const std::string version =
      fmt::format("bctx-pack {}\nonnx {}\nONNX Runtime API {}\nLLVM {}", LibraryVersion(),
                  BCTX_ONNX_VERSION, BCTX_ORT_API, BCTX_LLVM_VERSION);
  tools::CommandLine line("bctx-pack", "makes and changes BackendContext packages", version);
  tools::AddPack(line);
  tools::AddRestore(line);
  tools::AddEncode(line);
  tools::AddProve(line);
  tools::AddMerge(line);
  tools::AddKeygen(line);
  tools::AddTrust(line);
  tools::AddBackends(line);
  return line.Run(argc, argv);
}
