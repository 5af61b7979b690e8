#include "model/graph_view.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/sha256.h"

namespace backendctx::model {
namespace {

// onnx TensorProto.DataType, by number: this file must not know ONNX's headers.
constexpr int32_t kFloat = 1, kInt64 = 7, kString = 8;

TensorInfo Holding(int32_t element_type, std::vector<int64_t> dims, std::string bytes) {
  TensorInfo info;
  info.element_type = element_type;
  info.dims = std::move(dims);
  info.size = bytes.size();
  const Digest digest = crypto::Sha256(std::string_view(bytes));
  info.digest.assign(digest.bytes.begin(), digest.bytes.end());
  if (bytes.size() < kInlineLimit) info.bytes = std::move(bytes);
  return info;
}

template <typename T>
std::string LittleEndian(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string StringElements(const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) AppendStringElement(value, &bytes);
  return bytes;
}

template <typename T>
std::vector<int64_t> ListDims(const std::vector<T>& values) {
  return {static_cast<int64_t>(values.size())};
}

}  // namespace

void AppendStringElement(const std::string& element, std::string* bytes) {
  const uint64_t size = element.size();
  for (int shift = 0; shift < 64; shift += 8) bytes->push_back(static_cast<char>(size >> shift));
  bytes->append(element);
}

const Attribute* Node::Find(const std::string& attribute) const {
  for (const Attribute& candidate : attributes) {
    if (candidate.name == attribute) return &candidate;
  }
  return nullptr;
}

int64_t Node::Int(const std::string& attribute, int64_t otherwise) const {
  const Attribute* found = Find(attribute);
  const bool is_int = found && found->kind == Attribute::Kind::kInt && found->ints.size() == 1;
  return is_int ? found->ints[0] : otherwise;
}

float Node::Float(const std::string& attribute, float otherwise) const {
  const Attribute* found = Find(attribute);
  const bool is_float =
      found && found->kind == Attribute::Kind::kFloat && found->floats.size() == 1;
  return is_float ? found->floats[0] : otherwise;
}

const std::string& Node::Key() const {
  static const std::string kNone;
  for (const std::string& output : outputs) {
    if (!output.empty()) return output;
  }
  return kNone;
}

std::optional<TensorInfo> ConstantNodeTensor(const Node& node) {
  if (node.op_type != "Constant" || !node.domain.empty()) return std::nullopt;
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == "value" && attribute.tensor) return *attribute.tensor;
    if (attribute.name == "value_int") return Holding(kInt64, {}, LittleEndian(attribute.ints));
    if (attribute.name == "value_ints") {
      return Holding(kInt64, ListDims(attribute.ints), LittleEndian(attribute.ints));
    }
    if (attribute.name == "value_float") return Holding(kFloat, {}, LittleEndian(attribute.floats));
    if (attribute.name == "value_floats") {
      return Holding(kFloat, ListDims(attribute.floats), LittleEndian(attribute.floats));
    }
    if (attribute.name == "value_string") {
      return Holding(kString, {}, StringElements(attribute.strings));
    }
    if (attribute.name == "value_strings") {
      return Holding(kString, ListDims(attribute.strings), StringElements(attribute.strings));
    }
  }
  return std::nullopt;
}

std::optional<TensorInfo> GraphView::Constant(const std::string& value) const {
  for (const GraphView* graph = this; graph; graph = graph->parent) {
    if (graph->is_input.count(value)) {
      return std::nullopt;
    }
    if (auto found = graph->initializers.find(value); found != graph->initializers.end()) {
      return found->second;
    }
    if (auto made = graph->producer.find(value); made != graph->producer.end()) {
      return ConstantNodeTensor(graph->nodes[made->second]);
    }
  }
  return std::nullopt;
}

const ValueType* GraphView::Type(const std::string& value) const {
  for (const GraphView* graph = this; graph; graph = graph->parent) {
    if (auto found = graph->types.find(value); found != graph->types.end()) return &found->second;
  }
  return nullptr;
}

int64_t ModelView::Opset(const std::string& domain) const {
  int64_t version = 0;
  for (const auto& [name, number] : opsets) {
    if (name == domain) version = number;
  }
  return version;
}

ModelView::ModelView(ModelView&& other) noexcept { *this = std::move(other); }

ModelView& ModelView::operator=(ModelView&& other) noexcept {
  ir_version = other.ir_version;
  opsets = std::move(other.opsets);
  local_functions = std::move(other.local_functions);
  function_bodies = std::move(other.function_bodies);
  graph = std::move(other.graph);
  // The top level graph moved, so the graphs one level below have a new parent.
  for (const Node& node : graph.nodes) {
    for (const Attribute& attribute : node.attributes) {
      if (attribute.graph) std::const_pointer_cast<GraphView>(attribute.graph)->parent = &graph;
    }
  }
  return *this;
}

std::vector<const GraphView*> AllGraphs(const ModelView& model) { return AllGraphs(model.graph); }

std::vector<const GraphView*> AllGraphs(const GraphView& top) {
  std::vector<const GraphView*> result, pending = {&top};
  while (!pending.empty()) {
    const GraphView* graph = pending.back();
    pending.pop_back();
    result.push_back(graph);
    // Pushed in reverse, so that the first subgraph is visited next.
    for (auto node = graph->nodes.rbegin(); node != graph->nodes.rend(); ++node) {
      for (auto a = node->attributes.rbegin(); a != node->attributes.rend(); ++a) {
        if (a->graph) pending.push_back(a->graph.get());
      }
    }
  }
  return result;
}

}  // namespace backendctx::model
