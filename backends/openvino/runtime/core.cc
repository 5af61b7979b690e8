#include "runtime/core.h"

#include <openvino/op/relu.hpp>
#include <sstream>

namespace backendctx::openvino {

ov::Core& Core() {
  static auto* core = new ov::Core;
  return *core;
}

ov::AnyMap ToProperties(const Pairs& pairs) { return {pairs.begin(), pairs.end()}; }

void AddPlainText(ov::AnyMap* properties) {
  const auto same = [](const std::string& text) { return text; };
  (*properties)[ov::cache_encryption_callbacks.name()] = ov::EncryptionCallbacks{same, same};
}

std::string OwnLabel() {
  static const std::string label = [] {
    const auto input =
        std::make_shared<ov::op::v0::Parameter>(ov::element::f32, ov::PartialShape{1});
    const auto output =
        std::make_shared<ov::op::v0::Result>(std::make_shared<ov::op::v0::Relu>(input));
    const auto model =
        std::make_shared<ov::Model>(ov::ResultVector{output}, ov::ParameterVector{input});
    // The default precision is the machine's own, which the limit of instruction sets does not
    // know.
    const ov::AnyMap properties{{"INFERENCE_PRECISION_HINT", "f32"}, {"NUM_STREAMS", "1"}};
    return Core()
        .compile_model(model, "CPU", properties)
        .get_property(ov::runtime_requirements.name())
        .as<std::string>();
  }();
  return label;
}

std::string Words(const std::exception& exception) {
  std::istringstream lines(exception.what());
  std::string text, line;
  while (std::getline(lines, line)) {
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos) continue;
    line.erase(0, start);
    if (line.starts_with("Exception from ")) continue;
    // "Check 'x' failed at file.cpp:12:" says nothing to who did not write it.
    if (line.starts_with("Check '") && line.ends_with(':')) continue;
    if (!text.empty()) text += text.ends_with(':') ? " " : "; ";
    for (const char c : line) text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return text.empty() ? "OpenVINO gave no reason" : text;
}

}  // namespace backendctx::openvino
