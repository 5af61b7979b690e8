// Contents that a front holds itself: read when they are asked for, by the initializer's name.
#include <fmt/format.h>

#include <unordered_map>

#include "model/front.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/tensor_bytes.h"

namespace backendctx::model {

struct FrontInitializers::State {
  onnx::ModelProto model;
  std::unordered_map<std::string, const onnx::TensorProto*> by_name;
};

Result<FrontInitializers> FrontInitializers::Parse(std::span<const uint8_t> front,
                                                   const LoadLimits& limits) {
  return Guarded("reading a front", [&]() -> Result<FrontInitializers> {
    auto state = std::make_shared<State>();
    BCTX_RETURN_IF_ERROR(ParseModel(front, limits, &state->model));
    for (const onnx::TensorProto& tensor : state->model.graph().initializer()) {
      state->by_name.emplace(tensor.name(), &tensor);
    }
    FrontInitializers initializers;
    initializers.state_ = std::move(state);
    return initializers;
  });
}

Result<std::string> FrontInitializers::Read(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  if (found == state_->by_name.end() ||
      found->second->data_location() == onnx::TensorProto::EXTERNAL) {
    return Status(StatusCode::kNotFound,
                  fmt::format("the front has no initializer \"{}\" with its data inside", name));
  }
  return Guarded("reading a front", [&] { return DecodeInline(*found->second); });
}

}  // namespace backendctx::model
