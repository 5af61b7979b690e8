#include "cpu_attention/emulated.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "proof/proof_file.h"

extern char** environ;

namespace backendctx::cpu_attention::test {
namespace {

constexpr char kEmulator[] = "/usr/bin/qemu-aarch64-static";

proof::Tensor ToProof(const Tensor& from) {
  proof::Tensor tensor{from.type, from.dims, {}};
  if (from.type == kFloat) {
    tensor.data.resize(from.floats.size() * 4);
    if (!tensor.data.empty()) {
      std::memcpy(tensor.data.data(), from.floats.data(), tensor.data.size());
    }
  } else {
    tensor.data = from.bools;
  }
  return tensor;
}

proof::Request MakeRequest(const Blob& blob, const std::vector<Inputs>& inputs) {
  proof::Request request;
  request.blob = blob.bytes;
  request.entry = blob.entry;
  request.options = blob.options;
  request.threads = 2;
  request.output_types = {kFloat};
  for (const Inputs& in : inputs) {
    std::vector<proof::Tensor> tensors{ToProof(in.q), ToProof(in.k), ToProof(in.v)};
    for (const Tensor& mask : in.masks) tensors.push_back(ToProof(mask));
    request.cases.push_back(std::move(tensors));
  }
  return request;
}

std::vector<uint8_t> ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int Spawn(std::vector<std::string> command, const std::string& stderr_path) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, stderr_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  pid_t child = 0;
  const int failed = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

std::vector<std::vector<float>> RunCommand(std::vector<std::string> command, const Blob& blob,
                                           const std::vector<Inputs>& inputs, std::string* error) {
  std::string pattern = (std::filesystem::temp_directory_path() / "bctx-proof-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    *error = "cannot make a temporary folder";
    return {};
  }
  const std::filesystem::path folder = pattern;
  const std::vector<uint8_t> bytes = Encode(MakeRequest(blob, inputs));
  std::ofstream(folder / "request", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  command.push_back((folder / "request").string());
  command.push_back((folder / "response").string());
  const int code = Spawn(command, (folder / "stderr").string());
  const std::vector<uint8_t> said = ReadFile(folder / "stderr");
  const std::vector<uint8_t> answer = ReadFile(folder / "response");
  std::filesystem::remove_all(folder);

  const auto response = proof::DecodeResponse(answer.data(), answer.size());
  if (code != 0 || !response || response->cases.size() != inputs.size()) {
    *error = "exit " + std::to_string(code) + ": " + std::string(said.begin(), said.end());
    return {};
  }
  std::vector<std::vector<float>> outputs;
  for (const std::vector<proof::Tensor>& tensors : response->cases) {
    std::vector<float> y(tensors.at(0).data.size() / 4);
    if (!y.empty()) std::memcpy(y.data(), tensors[0].data.data(), y.size() * 4);
    outputs.push_back(std::move(y));
  }
  return outputs;
}

}  // namespace

std::string EmulatorMissing() {
  if (std::strlen(BCTX_RUN_AARCH64) == 0) return "bctx-run-aarch64 was not built";
  if (access(kEmulator, X_OK) != 0) return std::string(kEmulator) + " is not installed";
  return "";
}

std::vector<std::vector<float>> RunEmulated(const Blob& blob, const std::vector<Inputs>& inputs,
                                            std::string* error) {
  return RunCommand({kEmulator, "-cpu", "cortex-a76", BCTX_RUN_AARCH64}, blob, inputs, error);
}

std::vector<std::vector<float>> RunFresh(const Blob& blob, const std::vector<Inputs>& inputs,
                                         std::string* error) {
  return RunCommand({BCTX_RUN, BCTX_DRIVER_PLUGIN}, blob, inputs, error);
}

}  // namespace backendctx::cpu_attention::test
