// Where this plug-in lies, and the program and library beside it that link OpenVINO.
#pragma once

#include <string>

namespace backendctx::openvino {

// A file in this plug-in's folder.
std::string Neighbour(const std::string& name);

}  // namespace backendctx::openvino
