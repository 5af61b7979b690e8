// The names of a serialised ONNX model's inputs. OpenVINO's own reader drops those that no node
// uses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backendctx::openvino {

// In order; nothing: the bytes are no ModelProto.
std::optional<std::vector<std::string>> InputNames(std::string_view model);

}  // namespace backendctx::openvino
