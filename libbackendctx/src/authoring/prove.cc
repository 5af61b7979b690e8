#include "authoring/prove.h"

#include "authoring/cases.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "base/os/process.h"
#include "base/text.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {
namespace {

constexpr double kTolerance = 5e-5;  // relative to the output's scale: rounding of another order
constexpr int kSeconds = 120;
constexpr uint64_t kResponseLimit = 1u << 30;

std::string ToString(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

Result<std::string> RunInFolder(std::vector<std::string> command, const proof::Request& request,
                                const std::string& parent) {
  BCTX_ASSIGN_OR_RETURN(const os::TemporaryFolder folder, os::TemporaryFolder::Make(parent));
  const std::string in = os::Join(folder.path(), "request"),
                    out = os::Join(folder.path(), "response");
  BCTX_RETURN_IF_ERROR(
      os::WriteFile(in, ToString(proof::Encode(request)), os::AtomicFile::kMustBeNew, 0600));
  command.push_back(in);
  command.push_back(out);
  BCTX_ASSIGN_OR_RETURN(const os::ProcessResult result, os::RunProcess(command, kSeconds));
  if (result.timed_out) {
    return Status(StatusCode::kInternal, fmt::format("no answer within {} s", kSeconds));
  }
  if (result.exit_code != 0) {
    // Goes into the manifest as the reason of a context that is not proved: one clean line.
    std::string words = result.error_output;
    while (!words.empty() && words.back() == '\n') words.pop_back();
    return Status(StatusCode::kInternal,
                  fmt::format("exit code {}: {}", result.exit_code, base::Printable(words)));
  }
  return os::ReadFile(out, kResponseLimit);
}

Result<proof::Response> Decode(const std::string& bytes) {
  const auto view = base::AsBytes(bytes);
  std::optional<proof::Response> response = proof::DecodeResponse(view.data(), view.size());
  if (!response) return Status(StatusCode::kInternal, "the answer cannot be read");
  return std::move(*response);
}

bool IsHostOf(const HostProfile& host, const std::string& arch) {
  const auto fact = host.facts.find("arch");
  return fact != host.facts.end() && fact->second == HostProfile::Fact(arch);
}

std::string ArchitectureOf(const plugin::Blob& blob) {
  for (const manifest::Requirement& requirement : blob.requirements) {
    if (requirement.key == "arch" && requirement.values.size() == 1) return requirement.values[0];
  }
  return "";
}

}  // namespace

Prover::Prover(const ProofTools& tools, const PartitionForPlugin& partition, const Region& region)
    : tools_(tools) {
  if (tools.folder.empty() || tools.ort_library.empty()) {
    not_run_ = "no ONNX Runtime library to run the body with";
    return;
  }
  const Status status = RunBody(tools, partition, region);
  // A fixed sentence: the reason is signed, and what a runtime prints has clocks and paths in it.
  if (!status.ok()) not_run_ = "the body could not be run in ONNX Runtime";
}

Status Prover::RunBody(const ProofTools& tools, const PartitionForPlugin& partition,
                       const Region& region) {
  proof::Request request;
  BCTX_ASSIGN_OR_RETURN(request.cases, MakeCases(partition, region));
  for (size_t i = 0; i < partition.partition().output_count; ++i) {
    request.output_types.push_back(partition.partition().outputs[i].element_type);
  }
  request_ = ToString(proof::Encode(request));
  request.blob.assign(partition.body().begin(), partition.body().end());
  cases_ = crypto::Sha256(base::AsBytes(request_));
  BCTX_ASSIGN_OR_RETURN(
      response_, RunInFolder({os::Join(tools.folder, "bctx-run-body"), tools.ort_library}, request,
                             tools.temporary_folder));
  return Decode(response_).status();
}

// The program that runs this blob here; Incompatible with the reason when there is none.
Result<std::vector<std::string>> Prover::Command(const plugin::Blob& blob,
                                                 const plugin::Plugin* driver) const {
  const HostProfile host = HostProfile::Detect();
  std::string why;
  if (Judge(blob.requirements, host, &why) == Verdict::kOptimal) {
    if (driver == nullptr) return Status(StatusCode::kIncompatible, "no driver is at hand");
    return std::vector<std::string>{os::Join(tools_.folder, "bctx-run"), driver->path()};
  }
  const std::string arch = ArchitectureOf(blob);
  const auto emulator = tools_.emulators.find(arch);
  const std::string runner = os::Join(tools_.folder, "bctx-run-" + arch);
  if (IsHostOf(host, arch) || emulator == tools_.emulators.end() || !os::Exists(runner)) {
    return Status(StatusCode::kIncompatible, "this machine cannot run it: " + why);
  }
  return std::vector<std::string>{emulator->second, runner};
}

Result<Verdicts> Prover::Prove(const plugin::Blob& blob, const plugin::Plugin* driver) const {
  Verdicts verdicts;
  verdicts.proof.reason = not_run_;
  if (!not_run_.empty()) return verdicts;
  Result<std::vector<std::string>> command = Command(blob, driver);
  if (!command) {
    verdicts.proof.reason = command.error().message();
    return verdicts;
  }
  const auto view = base::AsBytes(request_);
  proof::Request request = *proof::DecodeRequest(view.data(), view.size());
  request.blob.assign(blob.bytes.begin(), blob.bytes.end());
  request.entry = blob.entry;
  for (const manifest::KeyValue& option : blob.options) {
    request.options.emplace_back(option.key, option.value);
  }
  request.threads = 2;
  Result<std::string> answer = RunInFolder(*command, request, tools_.temporary_folder);
  Result<proof::Response> found = answer ? Decode(*answer) : answer.status();
  if (!found) {
    verdicts.wrong = found.error().message();
    return verdicts;
  }
  BCTX_ASSIGN_OR_RETURN(const proof::Response expected, Decode(response_));
  if (found->cases.size() != expected.cases.size()) verdicts.wrong = "cases are missing";
  for (size_t i = 0; i < expected.cases.size() && verdicts.wrong.empty(); ++i) {
    const double difference = Difference(found->cases[i], expected.cases[i]);
    verdicts.largest_error = std::max(verdicts.largest_error, difference);
    if (!(difference <= kTolerance)) {
      verdicts.wrong = fmt::format("case {} differs from the body by {:.3g}, allowed is {:.3g}", i,
                                   difference, kTolerance);
    }
  }
  verdicts.proof = {.passed = true, .cases = cases_, .tolerance = kTolerance, .reason = ""};
  return verdicts;
}

}  // namespace backendctx::authoring
