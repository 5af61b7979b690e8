// What the export process is asked and what it answers, as frames.
#pragma once

#include <string>
#include <string_view>

#include "common/frames.h"
#include "common/options.h"

namespace backendctx::openvino {

struct ExportRequest {
  std::string onnx;
  // A file beside the weights, which need not be there: external data is looked for in its folder.
  std::string place;
  std::string isa;      // that the label must name
  bool shared = false;  // constants stay in the weight file
  size_t inputs = 0, outputs = 0;
  Pairs properties;
};

struct ExportAnswer {
  int code = BCTX_INTERNAL;
  std::string message;
  std::string blob;
};

std::string Encode(const ExportRequest& request);
bool Decode(std::string_view bytes, ExportRequest* request);
std::string Encode(const ExportAnswer& answer);
bool Decode(std::string_view bytes, ExportAnswer* answer);

}  // namespace backendctx::openvino
