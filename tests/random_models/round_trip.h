// One random model in a folder: packed in every form, opened, verified, encoded, restored.
#pragma once

#include <string>

#include "backendctx/encode.h"
#include "backendctx/pack.h"
#include "backendctx/status.h"
#include "random_models/generate.h"

namespace backendctx::tests {

class RoundTrip {
 public:
  // Writes model.onnx and its external data into `folder`, which must be there and empty.
  RoundTrip(uint64_t seed, std::string folder);

  const RandomModel& made() const { return made_; }
  const PackReport& report() const { return report_; }  // of function/package.onnx

  // Each makes folders with a package.onnx, by a backend that takes every attention, and is not ok
  // with what is wrong with them. A package that is made by two ways must have the same bytes.
  //
  // function/ and metadata/, each packed and made of the other, and restored.onnx. Comes first.
  Status RunEncodings();
  Status RunBoth();        // both/
  Status RunEmbedded();    // embedded/
  Status RunCompressed();  // compressed-*/, in each encoding and embedded

 private:
  Status Pack(const std::string& name, const EncodeOptions& form);
  Status Encode(const std::string& from, const std::string& to, const EncodeOptions& form) const;
  // Packs, and makes the same of function/.
  Status PackAndEncode(const std::string& name, const EncodeOptions& form);
  // What `from` gives in the form of `name` are the files of `name`.
  Status EncodeBack(const std::string& from, const std::string& name,
                    const EncodeOptions& form) const;
  Status Check(const std::string& front) const;
  Status CheckAllSame(const std::string& a, const std::string& b) const;
  Status CheckSame(const std::string& a, const std::string& b) const;
  std::string At(const std::string& name) const { return folder_ + "/" + name; }

  const RandomModel made_;
  const std::string folder_;
  std::string expected_;  // what restore makes of the model
  Digest digest_;         // of the graph
  PackReport report_;
};

}  // namespace backendctx::tests
