#include "authoring/plugin_graph.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>

#include "base/bytes.h"
#include "fmt/format.h"
#include "model/front.h"
#include "model/order.h"

namespace backendctx::authoring {
namespace {

using Kind = model::Attribute::Kind;

bctx_code Fail(bctx_error* error, bctx_code code, const std::string& message) {
  if (error != nullptr) {
    std::strncpy(error->message, message.c_str(), sizeof(error->message) - 1);
    error->message[sizeof(error->message) - 1] = '\0';
  }
  return code;
}

bctx_bytes AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The indices in topological order, where the graph is not known to be in one.
std::vector<size_t> InOrder(const model::GraphView& graph, std::vector<size_t> nodes) {
  std::sort(nodes.begin(), nodes.end());
  if (graph.sorted) return nodes;
  std::unordered_map<size_t, size_t> place;
  for (size_t i = 0; i < nodes.size(); ++i) place.emplace(nodes[i], i);
  std::vector<std::vector<size_t>> after(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : graph.nodes[nodes[i]].outputs) {
      const auto consumers = graph.consumers.find(output);
      if (output.empty() || consumers == graph.consumers.end()) continue;
      for (const size_t consumer : consumers->second) {
        if (const auto at = place.find(consumer); at != place.end()) after[i].push_back(at->second);
      }
    }
  }
  const std::optional<std::vector<size_t>> order = model::StableOrder(after);
  if (!order) return nodes;  // a cycle: refused elsewhere
  std::vector<size_t> sorted;
  for (const size_t item : *order) sorted.push_back(nodes[item]);
  return sorted;
}

}  // namespace

Result<std::string> ConstantBytes(const model::FlatModel& flat, const model::GraphView& graph,
                                  const std::string& value) {
  const std::optional<model::TensorInfo> tensor = graph.Constant(value);
  if (!tensor) return Status(StatusCode::kInternal, fmt::format("'{}' is no constant", value));
  if (tensor->size < model::kInlineLimit) return tensor->bytes;
  for (const model::TensorContent& content : flat.tensors()) {
    if (base::AsText(content.digest.bytes) != tensor->digest) continue;
    std::string bytes;
    BCTX_RETURN_IF_ERROR(content.source([&](std::span<const uint8_t> piece) {
      bytes.append(base::AsText(piece));
      return OkStatus();
    }));
    return bytes;
  }
  return Status(StatusCode::kInternal, fmt::format("the model has no bytes of '{}'", value));
}

struct PluginGraph::Held {
  MakeOnnx make_onnx;
  std::unordered_map<std::string, int32_t> value_index;
  std::deque<std::vector<int64_t>> dims;
  std::deque<std::vector<int32_t>> operands;
  std::vector<bctx_value> values;
  std::vector<bctx_node> nodes;
  std::vector<int32_t> inputs, outputs;

  std::mutex mutex;  // over what is made on request
  std::map<const model::Attribute*, std::vector<const char*>> strings;
  std::map<size_t, std::string> constants;
  std::map<int32_t, std::string> onnx;
};

PluginGraph::PluginGraph(const model::FlatModel& flat, const model::GraphView& graph,
                         MakeOnnx make_onnx)
    : flat_(flat), view_(graph), held_(std::make_shared<Held>()) {
  held_->make_onnx = std::move(make_onnx);
}

std::unique_ptr<PluginGraph> PluginGraph::Make(const model::FlatModel& flat,
                                               const model::GraphView& graph,
                                               const std::vector<size_t>& nodes,
                                               const std::vector<std::string>& inputs,
                                               const std::vector<std::string>& outputs,
                                               MakeOnnx make_onnx) {
  std::unique_ptr<PluginGraph> made(new PluginGraph(flat, graph, std::move(make_onnx)));
  for (const size_t node : InOrder(graph, nodes)) {
    if (!model::ConstantNodeTensor(graph.nodes[node])) made->AddNode(node);
  }
  made->Finish(inputs, outputs);
  return made;
}

std::unique_ptr<PluginGraph> PluginGraph::Whole(const model::FlatModel& flat,
                                                const model::GraphView& graph) {
  std::vector<size_t> nodes(graph.nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  const bool is_top = graph.path.empty();
  return Make(flat, graph, nodes, graph.inputs, graph.outputs,
              [&flat, is_top](bctx_onnx_form form) -> Result<std::string> {
                if (is_top && form == BCTX_ONNX_WEIGHTS) {
                  return model::ModelWithoutWeights(flat, "weights");
                }
                return Status(StatusCode::kUnimplemented,
                              is_top ? "a whole graph has the form BCTX_ONNX_WEIGHTS alone"
                                     : "a branch is no model of its own");
              });
}

int32_t PluginGraph::ValueIndex(const std::string& name) {
  if (name.empty()) return -1;
  const auto [at, is_new] =
      held_->value_index.emplace(name, static_cast<int32_t>(held_->values.size()));
  if (!is_new) return at->second;
  bctx_value value{at->first.c_str(), 0, -1, nullptr};
  std::vector<int64_t>& dims = held_->dims.emplace_back();
  if (const std::optional<model::TensorInfo> constant = view_.Constant(name)) {
    value.element_type = constant->element_type;
    dims = constant->dims;
    value.rank = static_cast<int32_t>(dims.size());
  } else if (const model::ValueType* type = view_.Type(name)) {
    value.element_type = type->element_type;
    for (const model::Dim& dim : type->dims) dims.push_back(dim.value);
    if (type->has_shape) value.rank = static_cast<int32_t>(dims.size());
  }
  value.dims = dims.data();
  held_->values.push_back(value);
  return at->second;
}

void PluginGraph::AddNode(size_t index) {
  const model::Node& from = view_.nodes[index];
  flat_nodes_.push_back(index);
  const auto operands = [this](const std::vector<std::string>& names) -> std::vector<int32_t>& {
    std::vector<int32_t>& list = held_->operands.emplace_back();
    for (const std::string& name : names) list.push_back(ValueIndex(name));
    return list;
  };
  const std::vector<int32_t>& inputs = operands(from.inputs);
  const std::vector<int32_t>& outputs = operands(from.outputs);
  const std::string function = from.domain + "::" + from.op_type;
  const auto& functions = flat_.view().local_functions;
  const bool is_call = std::find(functions.begin(), functions.end(), function) != functions.end();
  const bool has_graph = std::any_of(from.attributes.begin(), from.attributes.end(),
                                     [](const model::Attribute& a) { return a.graph != nullptr; });
  held_->nodes.push_back({from.name.c_str(), from.domain.c_str(), from.op_type.c_str(),
                          flat_.view().Opset(from.domain), inputs.data(), inputs.size(),
                          outputs.data(), outputs.size(), is_call || has_graph ? 1 : 0});
}

void PluginGraph::Finish(const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  for (const std::string& input : inputs) held_->inputs.push_back(ValueIndex(input));
  for (const std::string& output : outputs) held_->outputs.push_back(ValueIndex(output));
  graph_.struct_size = sizeof(graph_);
  graph_.values = held_->values.data();
  graph_.value_count = held_->values.size();
  graph_.nodes = held_->nodes.data();
  graph_.node_count = held_->nodes.size();
  graph_.inputs = held_->inputs.data();
  graph_.input_count = held_->inputs.size();
  graph_.outputs = held_->outputs.data();
  graph_.output_count = held_->outputs.size();
  graph_.attribute = &GiveAttribute;
  graph_.constant = &GiveConstant;
  graph_.onnx = &GiveOnnx;
  graph_.host = this;
}

bctx_code PluginGraph::GiveAttribute(const bctx_graph* graph, size_t node, const char* name,
                                     bctx_attribute* attribute, bctx_error* error) {
  const auto* self = static_cast<const PluginGraph*>(graph->host);
  if (node >= self->flat_nodes_.size()) {
    return Fail(error, BCTX_INVALID_ARGUMENT, fmt::format("there is no node {}", node));
  }
  bctx_attribute given{};
  given.struct_size = attribute->struct_size;
  if (const model::Attribute* found = self->view_.nodes[self->flat_nodes_[node]].Find(name)) {
    switch (found->kind) {
      case Kind::kFloat:
      case Kind::kFloats:
        given.kind = BCTX_ATTRIBUTE_FLOATS;
        given.count = found->floats.size();
        given.floats = found->floats.data();
        break;
      case Kind::kInt:
      case Kind::kInts:
        given.kind = BCTX_ATTRIBUTE_INTS;
        given.count = found->ints.size();
        given.ints = found->ints.data();
        break;
      case Kind::kString:
      case Kind::kStrings: {
        const std::lock_guard lock(self->held_->mutex);
        std::vector<const char*>& strings = self->held_->strings[found];
        if (strings.empty()) {
          for (const std::string& text : found->strings) strings.push_back(text.c_str());
        }
        given.kind = BCTX_ATTRIBUTE_STRINGS;
        given.count = strings.size();
        given.strings = strings.data();
        break;
      }
      default:
        given.kind = BCTX_ATTRIBUTE_OTHER;
    }
  }
  std::memcpy(attribute, &given, std::min<size_t>(attribute->struct_size, sizeof(given)));
  return BCTX_OK;
}

bctx_code PluginGraph::GiveConstant(const bctx_graph* graph, size_t value, bctx_bytes* bytes,
                                    bctx_error* error) {
  const auto* self = static_cast<const PluginGraph*>(graph->host);
  Held& held = *self->held_;
  if (value >= held.values.size() || !self->view_.Constant(held.values[value].name)) {
    return Fail(error, BCTX_UNSUPPORTED, "the value is not a constant");
  }
  const std::lock_guard lock(held.mutex);
  const auto [at, is_new] = held.constants.emplace(value, "");
  if (is_new) {
    Result<std::string> read = ConstantBytes(self->flat_, self->view_, held.values[value].name);
    if (!read) {
      held.constants.erase(at);
      return Fail(error, BCTX_INVALID_ARGUMENT, read.error().message());
    }
    at->second = std::move(*read);
  }
  *bytes = AsBytes(at->second);
  return BCTX_OK;
}

bctx_code PluginGraph::GiveOnnx(const bctx_graph* graph, int32_t form, bctx_bytes* model,
                                bctx_error* error) {
  const auto* self = static_cast<const PluginGraph*>(graph->host);
  Held& held = *self->held_;
  if (form != BCTX_ONNX_OPERANDS && form != BCTX_ONNX_WEIGHTS) {
    return Fail(error, BCTX_INVALID_ARGUMENT, fmt::format("there is no form {}", form));
  }
  const std::lock_guard lock(held.mutex);
  const auto [at, is_new] = held.onnx.emplace(form, "");
  if (is_new) {
    Result<std::string> made = held.make_onnx(static_cast<bctx_onnx_form>(form));
    if (!made) {
      held.onnx.erase(at);
      const bool is_unknown = made.error().code() == StatusCode::kUnimplemented;
      return Fail(error, is_unknown ? BCTX_UNSUPPORTED : BCTX_INVALID_ARGUMENT,
                  made.error().message());
    }
    at->second = std::move(*made);
  }
  *model = AsBytes(at->second);
  return BCTX_OK;
}

}  // namespace backendctx::authoring
