// Names that both sides of a blob know: of its ports, and of what OpenVINO calls its label.
#pragma once

#include <cstddef>
#include <string>

namespace backendctx::openvino {

inline constexpr char kEntry[] = "openvino";

// The exporter names the ports by their position among the partition's inputs, so that the blob
// does not depend on the names in the model. An input that no node uses may have no port.
inline std::string InputPort(size_t index) { return "bctx:input:" + std::to_string(index); }

}  // namespace backendctx::openvino
