// bctx-openvino-export: reads a request on stdin, writes the answer to descriptor 3. Exit code 0:
// the answer says how it went. Started by the plug-in for each blob; see plugin/export_process.h.
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <openvino/frontend/manager.hpp>
#include <sstream>

#include "common/export_request.h"
#include "common/names.h"
#include "exporter/input_names.h"
#include "runtime/core.h"

namespace backendctx::openvino {
namespace {

constexpr int kAnswerFd = 3;

std::string ReadAll(int fd) {
  std::string bytes;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(count));
  }
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Before the model is read: a target of another machine costs nothing more.
Outcome CheckMachine(const ExportRequest& request) {
  const std::string label = OwnLabel(), isa = "isa=" + request.isa;
  if (label.ends_with(";" + isa)) return {};
  // The same text for every target, so that a host can say it once for all of them.
  return Incompatible(
      "OpenVINO makes blobs for this machine's instruction set and narrower ones; "
      "this machine has \"" +
      label + "\"");
}

std::shared_ptr<ov::Model> Read(const ExportRequest& request) {
  ov::frontend::FrontEndManager manager;
  const ov::frontend::FrontEnd::Ptr frontend = manager.load_by_framework("onnx");
  std::istringstream stream(request.onnx);
  std::istream* input = &stream;
  return frontend->convert(
      frontend->load(input, request.place.empty() ? std::string("model.onnx") : request.place));
}

Outcome NamePorts(const ExportRequest& request, ov::Model* model) {
  const auto names = InputNames(request.onnx);
  if (!names || names->size() != request.inputs || model->outputs().size() != request.outputs) {
    return Unsupported("OpenVINO reads a model of " + std::to_string(names ? names->size() : 0) +
                       " inputs and " + std::to_string(model->outputs().size()) +
                       " outputs, expected " + std::to_string(request.inputs) + " and " +
                       std::to_string(request.outputs));
  }
  for (const auto& parameter : model->get_parameters()) {
    // An input that is also an output through Identity has several names, and the node may have
    // either.
    const std::unordered_set<std::string>& own = parameter->output(0).get_names();
    const auto name = std::find_if(names->begin(), names->end(), [&](const std::string& each) {
      return own.count(each) != 0 || each == parameter->get_friendly_name();
    });
    if (name == names->end()) {
      return Unsupported("OpenVINO reads an input that the model does not have: '" +
                         parameter->get_friendly_name() + "'");
    }
    parameter->output(0).set_names({InputPort(static_cast<size_t>(name - names->begin()))});
  }
  return {};
}

// An output that is an input as it is has no node that would write it into the host's memory.
Outcome CheckOutputs(const ov::CompiledModel& compiled) {
  const std::shared_ptr<const ov::Model> model = compiled.get_runtime_model();
  for (const auto& result : model->get_results()) {
    const std::shared_ptr<ov::Node> from = result->get_input_node_shared_ptr(0);
    const auto& facts = from->get_rt_info();
    const auto type = facts.find("layerType");
    if (type != facts.end() && type->second.as<std::string>() == "Input") {
      return Unsupported("OpenVINO finds an output that is an input or a constant as it is: '" +
                         from->get_friendly_name() + "'");
    }
  }
  return {};
}

Outcome Export(const ExportRequest& request, std::string* blob) {
  BCTX_RETURN_UNLESS_OK(CheckMachine(request));
  const std::shared_ptr<ov::Model> model = Read(request);
  BCTX_RETURN_UNLESS_OK(NamePorts(request, model.get()));
  ov::AnyMap properties = ToProperties(request.properties);
  AddPlainText(&properties);
  // What is compiled must not depend on how many cores this machine has.
  properties["INFERENCE_NUM_THREADS"] = "1";
  if (request.shared) properties["CACHE_MODE"] = "OPTIMIZE_SIZE";
  ov::CompiledModel compiled = Core().compile_model(model, "CPU", properties);
  BCTX_RETURN_UNLESS_OK(CheckOutputs(compiled));
  std::ostringstream stream;
  compiled.export_model(stream);
  *blob = stream.str();
  return {};
}

int Main() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whoever started it is the only one who wants the answer
  ExportRequest request;
  if (!Decode(ReadAll(STDIN_FILENO), &request)) {
    std::fputs("bctx-openvino-export: is started by the openvino plug-in\n", stderr);
    return 2;
  }
  ExportAnswer answer;
  Outcome outcome;
  try {
    outcome = Export(request, &answer.blob);
  } catch (const std::exception& exception) {
    outcome = Unsupported(Words(exception));
  }
  answer.code = outcome.code;
  answer.message = outcome.message;
  return WriteAll(kAnswerFd, Encode(answer)) ? 0 : 1;
}

}  // namespace
}  // namespace backendctx::openvino

int main() {
  const int code = backendctx::openvino::Main();
  // OpenVINO's threads and its static objects end in no fixed order.
  std::fflush(nullptr);
  _exit(code);
}
