// An imported blob. Run is re-entrant: each call has an infer request of its own.
#pragma once

#include <memory>
#include <mutex>
#include <openvino/openvino.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/outcome.h"

namespace backendctx::openvino {

class Kernel {
 public:
  // Malformed: not a blob of this backend's exporter. Incompatible: OpenVINO refuses it, in its
  // words.
  static Outcome Load(const bctx_load_request& request, std::unique_ptr<Kernel>* kernel);

  Outcome Run(bctx_run* run);

 private:
  using Port = ov::Output<const ov::Node>;

  Outcome Import(const bctx_load_request& request);
  Outcome BindPorts(const bctx_load_request& request);
  Outcome SetInputs(const bctx_run& run, ov::InferRequest* request) const;
  // Of the outputs whose shape is known before.
  Outcome SetOutputs(bctx_run* run, ov::InferRequest* request) const;
  Outcome CopyOutputs(bctx_run* run, ov::InferRequest* request) const;
  ov::InferRequest TakeRequest();
  void PutBack(ov::InferRequest request);

  std::string relocated_;  // the private copy of a blob that points at its weights
  ov::CompiledModel model_;
  std::vector<std::optional<Port>> inputs_;  // none: no node uses it
  std::vector<Port> outputs_;
  std::mutex mutex_;
  std::vector<ov::InferRequest> idle_;
};

}  // namespace backendctx::openvino
