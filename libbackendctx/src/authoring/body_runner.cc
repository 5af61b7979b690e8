#include "authoring/body_runner.h"

#include "base/bytes.h"
#include "base/os/file.h"
#include "base/os/process.h"
#include "base/text.h"
#include "fmt/format.h"

namespace backendctx::authoring {
namespace {

constexpr int kSeconds = 120;
constexpr uint64_t kResponseLimit = 1u << 30;

}  // namespace

bool CanRunBodies(const ProofTools& tools) {
  return !tools.folder.empty() && !tools.ort_library.empty();
}

Result<std::string> RunProgram(std::vector<std::string> command, const proof::Request& request,
                               const std::string& temporary_folder) {
  BCTX_ASSIGN_OR_RETURN(const os::TemporaryFolder folder,
                        os::TemporaryFolder::Make(temporary_folder));
  const std::string in = os::Join(folder.path(), "request"),
                    out = os::Join(folder.path(), "response");
  BCTX_RETURN_IF_ERROR(
      os::WriteFile(in, base::AsText(proof::Encode(request)), os::AtomicFile::kMustBeNew, 0600));
  command.push_back(in);
  command.push_back(out);
  BCTX_ASSIGN_OR_RETURN(const os::ProcessResult result, os::RunProcess(command, kSeconds));
  if (result.timed_out) {
    return Status(StatusCode::kInternal, fmt::format("no answer within {} s", kSeconds));
  }
  if (result.exit_code != 0) {
    std::string words = result.error_output;
    while (!words.empty() && words.back() == '\n') words.pop_back();
    return Status(StatusCode::kInternal,
                  fmt::format("exit code {}: {}", result.exit_code, base::Printable(words, 2000)));
  }
  return os::ReadFile(out, kResponseLimit);
}

Result<std::string> RunBody(const ProofTools& tools, const std::string& model,
                            proof::Request request) {
  request.blob.assign(model.begin(), model.end());
  return RunProgram({os::Join(tools.folder, "bctx-run-body"), tools.ort_library}, request,
                    tools.temporary_folder);
}

}  // namespace backendctx::authoring
