#include "backendctx/extract.h"

#include <algorithm>

#include "base/bytes.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx {
namespace {

Result<model::FlatModel> OpenFlat(const Package::State& state, const std::string& variant) {
  if (!state.reader) return model::FlatModel::Load(state.front_path, model::LoadLimits{});
  return package::OpenGraph(state, variant.empty() ? state.VariantName() : variant);
}

Result<std::string> Bytes(const model::FlatModel& flat, const model::TensorInfo& tensor) {
  if (tensor.size < model::kInlineLimit) return tensor.bytes;
  for (const model::TensorContent& content : flat.tensors()) {
    if (base::AsText(content.digest.bytes) != tensor.digest) continue;
    std::string bytes;
    BCTX_RETURN_IF_ERROR(content.source([&](std::span<const uint8_t> piece) {
      bytes.append(base::AsText(piece));
      return OkStatus();
    }));
    return bytes;
  }
  return Status(StatusCode::kUnimplemented, "the tensor is stored in a form that is not read");
}

}  // namespace

Result<std::string> ReadManifest(const Package& package) {
  if (package.has_container()) return package.state().manifest_bytes;
  return Status(StatusCode::kNotFound,
                fmt::format("{}: a plain ONNX model has no manifest", package.front_path()));
}

Result<std::string> ReadGraph(const Package& package, const std::string& variant) {
  const manifest::Variant* const found = package.manifest().FindVariant(variant);
  if (found != nullptr) return package.ReadContent(found->graph);
  return Status(StatusCode::kNotFound, fmt::format("the package has no variant '{}'", variant));
}

Result<TensorValue> ReadTensor(const Package& package, const std::string& variant,
                               const std::string& name) {
  BCTX_ASSIGN_OR_RETURN(const model::FlatModel flat, OpenFlat(package.state(), variant));
  for (const model::GraphView* graph : model::AllGraphs(flat.view())) {
    std::optional<model::TensorInfo> tensor;
    if (const auto at = graph->initializers.find(name); at != graph->initializers.end()) {
      tensor = at->second;
    } else if (const auto node = graph->producer.find(name); node != graph->producer.end()) {
      tensor = model::ConstantNodeTensor(graph->nodes[node->second]);
    }
    if (!tensor) continue;
    TensorValue value{tensor->element_type, tensor->dims, {}};
    BCTX_ASSIGN_OR_RETURN(value.bytes, Bytes(flat, *tensor));
    return value;
  }
  return Status(StatusCode::kNotFound, fmt::format("the model has no tensor '{}'", name));
}

}  // namespace backendctx
