// One random model in a folder: packed, opened, verified, restored.
#pragma once

#include <string>

#include "backendctx/pack.h"
#include "backendctx/status.h"
#include "random_models/generate.h"

namespace backendctx::tests {

class RoundTrip {
 public:
  // Writes model.onnx and its external data into `folder`, which must be there and empty.
  RoundTrip(uint64_t seed, std::string folder);

  const RandomModel& made() const { return made_; }
  const PackReport& report() const { return report_; }

  // Makes package.onnx, with a backend that takes every attention, and restored.onnx. Not ok: what
  // is wrong with them.
  Status Run();
  // After Run: makes metadata.onnx, a front of the same container in the metadata encoding.
  Status RunMetadata();

 private:
  Status Pack();
  Status Compare(const Digest& digest) const;
  std::string At(const char* name) const { return folder_ + "/" + name; }

  const RandomModel made_;
  const std::string folder_;
  PackReport report_;
};

}  // namespace backendctx::tests
