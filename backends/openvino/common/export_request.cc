#include "common/export_request.h"

namespace backendctx::openvino {

std::string Encode(const ExportRequest& request) {
  std::string out;
  AppendFrame(request.onnx, &out);
  AppendFrame(request.place, &out);
  AppendFrame(request.isa, &out);
  AppendFrame(request.shared ? "1" : "0", &out);
  AppendFrame(std::to_string(request.inputs), &out);
  AppendFrame(std::to_string(request.outputs), &out);
  AppendFrame(std::to_string(request.properties.size()), &out);
  for (const auto& [key, value] : request.properties) {
    AppendFrame(key, &out);
    AppendFrame(value, &out);
  }
  return out;
}

bool Decode(std::string_view bytes, ExportRequest* request) {
  FrameReader reader(bytes);
  std::string shared;
  size_t properties = 0;
  if (!reader.Take(&request->onnx) || !reader.Take(&request->place) ||
      !reader.Take(&request->isa) || !reader.Take(&shared) || !reader.TakeCount(&request->inputs) ||
      !reader.TakeCount(&request->outputs) || !reader.TakeCount(&properties)) {
    return false;
  }
  request->shared = shared == "1";
  for (size_t i = 0; i < properties; ++i) {
    auto& [key, value] = request->properties.emplace_back();
    if (!reader.Take(&key) || !reader.Take(&value)) return false;
  }
  return reader.AtEnd();
}

std::string Encode(const ExportAnswer& answer) {
  std::string out;
  AppendFrame(std::to_string(answer.code), &out);
  AppendFrame(answer.message, &out);
  AppendFrame(answer.blob, &out);
  return out;
}

bool Decode(std::string_view bytes, ExportAnswer* answer) {
  FrameReader reader(bytes);
  size_t code = 0;
  if (!reader.TakeCount(&code) || !reader.Take(&answer->message) || !reader.Take(&answer->blob) ||
      !reader.AtEnd()) {
    return false;
  }
  answer->code = static_cast<int>(code);
  return true;
}

}  // namespace backendctx::openvino
