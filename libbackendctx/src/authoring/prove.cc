#include "authoring/prove.h"

#include "authoring/body_runner.h"
#include "authoring/cases.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "package/runtime.h"
#include "proof/proof_file.h"

namespace backendctx::authoring {
namespace {

constexpr double kTolerance = 5e-5;  // relative to the output's scale: rounding of another order

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

Prover::Prover(const ProofTools& tools, const PartitionForPlugin& partition, const Region& region,
               const std::string& body)
    : tools_(tools), partition_(region.partition), shown_(partition) {
  // What becomes of a reason: it is signed, so it is a fixed sentence without clocks and paths.
  if (!CanRunBodies(tools)) {
    not_run_ = "no ONNX Runtime library to run the body with";
  } else if (const Status made = MakeRequest(partition, region, body); !made.ok()) {
    not_run_ = "no inputs could be drawn for the body";
  } else {
    RunTheBody(body);
  }
}

Status Prover::MakeRequest(const PartitionForPlugin& partition, const Region& region,
                           const std::string& body) {
  proof::Request request;
  for (size_t i = 0; i < partition.partition().output_count; ++i) {
    request.output_types.push_back(partition.partition().outputs[i].element_type);
  }
  if (region.attention) {
    BCTX_ASSIGN_OR_RETURN(request.cases, MakeCases(partition, region));
  } else {
    BCTX_ASSIGN_OR_RETURN(request.cases, MakeGeneralCases(partition, region));
    BCTX_RETURN_IF_ERROR(KeepWhatRuns(body, &request));
  }
  request_ = base::AsText(proof::Encode(request));
  cases_ = crypto::Sha256(base::AsBytes(request_));
  return OkStatus();
}

// Of cases that were drawn without knowing what the numbers mean, those that the body takes. Where
// it takes none because ONNX Runtime does not run it at all, all stay, and that comes out later.
Status Prover::KeepWhatRuns(const std::string& body, proof::Request* request) const {
  proof::Request one = *request;
  one.cases.clear();
  if (!RunBody(tools_, body, one)) return OkStatus();
  std::vector<std::vector<proof::Tensor>> kept;
  for (std::vector<proof::Tensor>& tensors : request->cases) {
    one.cases = {tensors};
    const Result<std::string> ran = RunBody(tools_, body, one);
    if (ran) kept.push_back(std::move(tensors));
    if (!ran && ran.error().code() != StatusCode::kInternal) return ran.status();
  }
  request->cases = std::move(kept);
  if (!request->cases.empty()) return OkStatus();
  return Status(StatusCode::kInvalidArgument, "the body takes none of the inputs that were drawn");
}

void Prover::RunTheBody(const std::string& body) {
  const auto view = base::AsBytes(request_);
  Result<std::string> response =
      RunBody(tools_, body, *proof::DecodeRequest(view.data(), view.size()));
  const Status status = response ? Decode(*response).status() : response.status();
  if (response && status.ok()) {
    response_ = std::move(*response);
    return;
  }
  if (status.code() != StatusCode::kInternal) {
    status_ = status.WithContext("proofs");
  } else {
    refused_ = status.message();
  }
  not_run_ = "the body could not be run in ONNX Runtime";
}

// The program that runs this blob here; Incompatible with the reason when there is none.
Result<std::vector<std::string>> Prover::Command(const plugin::Blob& blob,
                                                 const plugin::Plugin* driver) const {
  const HostProfile host = package::HostOf(driver);
  std::string why;
  if (CanRun(Judge(blob.requirements, host, &partition_, &why))) {
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

// Where the runtime's driver would find them in a package, the proof's finds them in a file of
// their own.
Status Prover::BindWeights(const plugin::Blob& blob, proof::Request* request) const {
  if (blob.weights != manifest::WeightsKind::kRefit &&
      blob.weights != manifest::WeightsKind::kOffset) {
    return OkStatus();
  }
  const bctx_partition& partition = shown_.partition();
  for (size_t i = 0; i < partition.weight_count; ++i) {
    request->weights.emplace_back(partition.weights[i].offset, partition.weights[i].size);
  }
  if (request->weights.empty()) return OkStatus();
  const char* path = nullptr;
  bctx_error error{};
  error.struct_size = sizeof(error);
  if (partition.weight_file(&partition, &path, &error) != BCTX_OK) {
    return Status(StatusCode::kIo, error.message);
  }
  request->weight_file = path;
  return OkStatus();
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
  BCTX_RETURN_IF_ERROR(BindWeights(blob, &request));
  Result<std::string> answer = RunProgram(*command, request, tools_.temporary_folder);
  if (!answer && answer.status().code() != StatusCode::kInternal) return answer.status();
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
