#include "provider/graph_reader.h"

namespace backendctx::ort {
namespace {

std::string OrEmpty(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

Result<std::vector<const OrtNode*>> GraphReader::Nodes(const OrtGraph* graph) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Graph_GetNumNodes(graph, &count)));
  std::vector<const OrtNode*> nodes(count);
  BCTX_RETURN_IF_ERROR(Check(api_.Graph_GetNodes(graph, nodes.data(), count)));
  return nodes;
}

Result<std::string> GraphReader::ModelPath(const OrtGraph* graph) const {
  const ORTCHAR_T* path = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.Graph_GetModelPath(graph, &path)));
  return OrEmpty(path);
}

Result<std::optional<std::string>> GraphReader::Property(const OrtGraph* graph,
                                                         const char* key) const {
  Owned<OrtModelMetadata> metadata;
  BCTX_RETURN_IF_ERROR(Make(api_, api_.Graph_GetModelMetadata, &metadata, graph));
  OrtAllocator* allocator = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.GetAllocatorWithDefaultOptions(&allocator)));
  char* value = nullptr;
  BCTX_RETURN_IF_ERROR(
      Check(api_.ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, key, &value)));
  if (value == nullptr) return std::optional<std::string>();
  std::optional<std::string> text = std::string(value);
  allocator->Free(allocator, value);
  return text;
}

Result<std::string> GraphReader::Name(const OrtNode* node) const {
  const char* text = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetName(node, &text)));
  return OrEmpty(text);
}

Result<std::string> GraphReader::Domain(const OrtNode* node) const {
  const char* text = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetDomain(node, &text)));
  return OrEmpty(text);
}

Result<std::string> GraphReader::OpType(const OrtNode* node) const {
  const char* text = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetOperatorType(node, &text)));
  return OrEmpty(text);
}

Result<size_t> GraphReader::SubgraphCount(const OrtNode* node) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetNumSubgraphs(node, &count)));
  return count;
}

Result<std::optional<std::string>> GraphReader::Text(const OrtNode* node,
                                                     const char* attribute) const {
  const OrtOpAttr* found = nullptr;
  // Some releases fail where others give null for an attribute that is not there.
  const Status status = Check(api_.Node_GetAttributeByName(node, attribute, &found));
  if (!status.ok() || found == nullptr) return std::optional<std::string>();
  OrtOpAttrType type = ORT_OP_ATTR_UNDEFINED;
  BCTX_RETURN_IF_ERROR(Check(api_.OpAttr_GetType(found, &type)));
  if (type != ORT_OP_ATTR_STRING) return std::optional<std::string>();
  size_t size = 0;
  // The first call says how much room the text takes, by an error.
  (void)Check(api_.ReadOpAttr(found, type, nullptr, 0, &size));
  std::string text(size, '\0');
  BCTX_RETURN_IF_ERROR(Check(api_.ReadOpAttr(found, type, text.data(), text.size(), &size)));
  text.resize(size);
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return std::optional<std::string>(std::move(text));
}

Result<std::vector<Port>> GraphReader::ToPorts(
    const std::vector<const OrtValueInfo*>& infos) const {
  std::vector<Port> ports;
  for (const OrtValueInfo* info : infos) {
    Port port;
    if (info != nullptr) {
      const char* name = nullptr;
      BCTX_RETURN_IF_ERROR(Check(api_.GetValueInfoName(info, &name)));
      port.name = OrEmpty(name);
      if (!port.name.empty()) port.info = info;
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

Result<std::vector<Port>> GraphReader::Inputs(const OrtNode* node) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetNumInputs(node, &count)));
  std::vector<const OrtValueInfo*> infos(count);
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetInputs(node, infos.data(), count)));
  return ToPorts(infos);
}

Result<std::vector<Port>> GraphReader::Outputs(const OrtNode* node) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetNumOutputs(node, &count)));
  std::vector<const OrtValueInfo*> infos(count);
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetOutputs(node, infos.data(), count)));
  return ToPorts(infos);
}

Result<std::vector<Port>> GraphReader::ImplicitInputs(const OrtNode* node) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetNumImplicitInputs(node, &count)));
  std::vector<const OrtValueInfo*> infos(count);
  if (count == 0) return std::vector<Port>();
  BCTX_RETURN_IF_ERROR(Check(api_.Node_GetImplicitInputs(node, infos.data(), count)));
  return ToPorts(infos);
}

Result<std::vector<Port>> GraphReader::GraphOutputs(const OrtGraph* graph) const {
  size_t count = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.Graph_GetNumOutputs(graph, &count)));
  std::vector<const OrtValueInfo*> infos(count);
  BCTX_RETURN_IF_ERROR(Check(api_.Graph_GetOutputs(graph, infos.data(), count)));
  return ToPorts(infos);
}

Result<TensorType> GraphReader::Type(const OrtValueInfo* value) const {
  TensorType type;
  const OrtTypeInfo* info = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.GetValueInfoTypeInfo(value, &info)));
  if (info == nullptr) return type;
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.CastTypeInfoToTensorInfo(info, &tensor)));
  if (tensor == nullptr) return type;
  // The numbers of both enumerations are the same.
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  BCTX_RETURN_IF_ERROR(Check(api_.GetTensorElementType(tensor, &element)));
  type.element_type = element;
  size_t rank = 0;
  BCTX_RETURN_IF_ERROR(Check(api_.GetDimensionsCount(tensor, &rank)));
  type.dims.resize(rank);
  BCTX_RETURN_IF_ERROR(Check(api_.GetDimensions(tensor, type.dims.data(), rank)));
  // ONNX Runtime gives no dimensions for a scalar and for an unknown shape alike.
  type.has_shape = rank != 0;
  return type;
}

Result<bool> GraphReader::IsConstant(const OrtValueInfo* value) const {
  bool is_constant = false;
  BCTX_RETURN_IF_ERROR(Check(api_.ValueInfo_IsConstantInitializer(value, &is_constant)));
  return is_constant;
}

Result<std::optional<ExternalPlace>> GraphReader::Place(const OrtValueInfo* value) const {
  Owned<OrtExternalInitializerInfo> info;
  BCTX_RETURN_IF_ERROR(Make(api_, api_.ValueInfo_GetExternalInitializerInfo, &info, value));
  if (info == nullptr) return std::optional<ExternalPlace>();
  ExternalPlace place;
  place.file = OrEmpty(api_.ExternalInitializerInfo_GetFilePath(info.get()));
  place.offset = static_cast<uint64_t>(api_.ExternalInitializerInfo_GetFileOffset(info.get()));
  place.size = api_.ExternalInitializerInfo_GetByteSize(info.get());
  return std::optional<ExternalPlace>(std::move(place));
}

Result<std::pair<const void*, size_t>> GraphReader::Bytes(const OrtValueInfo* value) const {
  const OrtValue* tensor = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.ValueInfo_GetInitializerValue(value, &tensor)));
  if (tensor == nullptr) return Status(StatusCode::kNotFound, "the value is no initializer");
  size_t size = 0;
  const void* data = nullptr;
  BCTX_RETURN_IF_ERROR(Check(api_.GetTensorSizeInBytes(tensor, &size)));
  BCTX_RETURN_IF_ERROR(Check(api_.GetTensorData(tensor, &data)));
  return std::make_pair(data, size);
}

}  // namespace backendctx::ort
