#include "backendctx/references.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/os/file.h"
#include "model/external_data.h"
#include "model/guard.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx {
namespace model {
namespace {

constexpr char kCompatibility[] = "ep_compatibility_info.";

ReferencedFile Look(const std::string& model, const std::string& location) {
  ReferencedFile file;
  file.location = location;
  const Result<os::File> opened = os::OpenBeside(model, location);
  const Result<uint64_t> size = opened ? opened->Size() : opened.status();
  if (size) {
    file.state = "present";
    file.path = opened->path();
    file.bytes = *size;
  } else {
    file.state = size.status().code() == StatusCode::kIo ? "missing" : "outside";
  }
  return file;
}

class Reader {
 public:
  Reader(std::string path, onnx::ModelProto* model) : path_(std::move(path)), model_(model) {}

  Result<ModelReferences> Run() {
    BCTX_RETURN_IF_ERROR(ReadExternal());
    const onnx::GraphProto& top = model_->graph();
    for (const auto& [path, graph] : GraphsByPath(top)) {
      for (const onnx::NodeProto& node : graph->node()) {
        if (node.op_type() == "EPContext" && node.domain() == "com.microsoft") {
          out_.ep_contexts.push_back(Read(node, path));
        }
      }
    }
    for (const auto& property : model_->metadata_props()) {
      if (!property.key().starts_with(kCompatibility)) continue;
      out_.ep_compatibility.emplace_back(property.key().substr(sizeof(kCompatibility) - 1),
                                         property.value());
    }
    std::sort(out_.ep_compatibility.begin(), out_.ep_compatibility.end());
    return std::move(out_);
  }

 private:
  Status ReadExternal() {
    std::set<std::string> locations;
    BCTX_RETURN_IF_ERROR(
        VisitTensors(model_, [&](onnx::TensorProto* tensor, const std::string& place) -> Status {
          if (tensor->data_location() != onnx::TensorProto::EXTERNAL) return OkStatus();
          const Result<ExternalData> external = ParseExternalData(*tensor);
          if (!external) return external.status().WithContext(place);
          locations.insert(external->location);
          return OkStatus();
        }));
    for (const std::string& location : locations) {
      out_.external_files.push_back(Look(path_, location));
    }
    return OkStatus();
  }

  EpContextNode Read(const onnx::NodeProto& node, const std::string& graph_path) const {
    EpContextNode found;
    found.node = node.name().empty() ? KeyOf(node) : node.name();
    found.graph_path = graph_path;
    const std::string* cache = nullptr;
    for (const auto& attribute : node.attribute()) {
      const std::string& name = attribute.name();
      if (name == "main_context") found.main_context = attribute.i() != 0;
      if (name == "embed_mode") found.embedded = attribute.i() != 0;
      if (name == "ep_cache_context") cache = &attribute.s();
      if (name == "source") found.source = attribute.s();
      if (name == "partition_name") found.partition_name = attribute.s();
      if (name == "ep_sdk_version") found.sdk_version = attribute.s();
      if (name == "hardware_architecture") found.hardware = attribute.s();
      if (name == "notes") found.notes = attribute.s();
    }
    if (cache == nullptr) return found;
    if (found.embedded) {
      found.bytes = cache->size();
    } else {
      found.file = Look(path_, *cache);
      found.bytes = found.file.bytes;
    }
    return found;
  }

  const std::string path_;
  onnx::ModelProto* model_;
  ModelReferences out_;
};

Result<ModelReferences> Read(const std::string& path) {
  const LoadLimits limits;
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, os::ReadFile(path, limits.model_bytes));
  onnx::ModelProto model;
  BCTX_RETURN_IF_ERROR(ParseModel(base::AsBytes(bytes), limits, &model).InFile(path));
  return Reader(path, &model).Run();
}

}  // namespace
}  // namespace model

Result<ModelReferences> ReadReferences(const std::string& path) {
  return model::Guarded("reading what a model names", [&] { return model::Read(path); });
}

}  // namespace backendctx
