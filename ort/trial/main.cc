// bctx-run-model REQUEST RESPONSE: one trial of a model in ONNX Runtime, for `bctx-inspect run`.
//
// Both files are JSON (trial.h). The response is the answer, or {"error": {code, message, file,
// field, found, expected}}. Exit code 0: there is a response. A process of its own, so that code
// which ends it ends nothing else.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>

#include "trial/trial.h"

namespace {

using backendctx::Result;
using backendctx::Status;
using Json = nlohmann::ordered_json;

Json ErrorJson(const Status& status) {
  const backendctx::Detail& detail = status.detail();
  return {{"code", static_cast<int>(status.code())},
          {"message", status.message()},
          {"file", detail.file},
          {"field", detail.field},
          {"found", detail.found},
          {"expected", detail.expected}};
}

int Run(const char* from, const char* to) {
  std::ifstream in(from);
  const nlohmann::json request = nlohmann::json::parse(in);
  const Result<Json> answer = backendctx::ort::RunTrial(request);
  std::ofstream out(to, std::ios::trunc);
  const Json response = answer ? *answer : Json{{"error", ErrorJson(answer.status())}};
  out << response.dump(1, ' ', false, Json::error_handler_t::replace);
  out.close();
  return out ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: bctx-run-model REQUEST RESPONSE\n", stderr);
    return 2;
  }
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  try {
    return Run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bctx-run-model: %s\n", error.what());
    return 1;
  }
}
