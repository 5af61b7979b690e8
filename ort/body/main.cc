// bctx-run-body ORT_LIBRARY REQUEST RESPONSE: what bctx-run does for a blob, done for its body by
// ONNX Runtime. The files are those of backends/proof/proof_file.h, with the bytes of an ONNX model
// in place of the blob. Exit code 0: the response is complete; else stderr says why in one line.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "body/run_body.h"

namespace {

using backendctx::Result;
using backendctx::Status;
using backendctx::StatusCode;
namespace proof = backendctx::proof;

Status Run(const char* library, const char* from, const char* to) {
  std::ifstream in(from, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open()) return Status(StatusCode::kIo, std::string(from) + ": cannot be read");
  const auto request =
      proof::DecodeRequest(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (!request) return Status(StatusCode::kMalformed, std::string(from) + ": is no request");
  BCTX_ASSIGN_OR_RETURN(const proof::Response response,
                        backendctx::ort::RunBody(library, *request));
  const std::vector<uint8_t> out = proof::Encode(response);
  std::ofstream file(to, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
  file.close();
  return file ? Status() : Status(StatusCode::kIo, std::string(to) + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: bctx-run-body ORT_LIBRARY REQUEST RESPONSE\n", stderr);
    return 2;
  }
  // A proof is nobody's business: the runtime must neither send nor store what it saw.
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  const Status status = Run(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::fprintf(stderr, "bctx-run-body: %s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
