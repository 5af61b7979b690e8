#include "conformance/host.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "conformance/onnx_writer.h"

namespace backendctx::conformance {
namespace {

bctx_bytes AsBytes(const Tensor& tensor) {
  return {reinterpret_cast<const uint8_t*>(tensor.data.data()), tensor.data.size() * sizeof(float)};
}

bctx_code Fail(bctx_error* error, bctx_code code, const char* message) {
  if (error != nullptr) std::snprintf(error->message, sizeof(error->message), "%s", message);
  return code;
}

// What is the same in every run is static, the rest is known only at run time.
std::map<std::string, Dims> KnownDims(const Model& model) {
  std::map<std::string, Dims> known;
  for (size_t shape = 0; shape < model.shapes.size(); ++shape) {
    const bool is_strange = std::any_of(model.nodes.begin(), model.nodes.end(),
                                        [](const Node& node) { return !node.domain.empty(); });
    if (is_strange) break;
    for (const auto& [name, value] : Evaluate(model, RandomInputs(model, shape))) {
      const auto [at, is_new] = known.emplace(name, value.dims);
      for (size_t i = 0; i < value.dims.size() && !is_new; ++i) {
        if (at->second[i] != value.dims[i]) at->second[i] = -1;
      }
    }
  }
  for (const Input& input : model.inputs) known[input.name] = input.dims;
  return known;
}

}  // namespace

Host::Host(const Model& model) : model_(model) {
  const std::map<std::string, Dims> dims = KnownDims(model);
  for (const Input& input : model.inputs) {
    graph_inputs_.push_back(ValueIndex(input.name, dims));
  }
  for (const Node& node : model.nodes) {
    std::vector<int32_t>& in = operands_.emplace_back();
    for (const std::string& name : node.inputs) in.push_back(ValueIndex(name, dims));
    std::vector<int32_t>& out = operands_.emplace_back();
    out.push_back(ValueIndex(node.output, dims));
    nodes_.push_back({"", node.domain.c_str(), node.op.c_str(), node.domain.empty() ? kOpset : 1,
                      in.data(), in.size(), out.data(), out.size(), 0});
  }
  for (const std::string& output : model.outputs) {
    graph_outputs_.push_back(ValueIndex(output, dims));
    outputs_.push_back(values_[static_cast<size_t>(graph_outputs_.back())]);
  }
  for (const Input& input : model.inputs) {
    inputs_.push_back(values_[static_cast<size_t>(ValueIndex(input.name, dims))]);
  }
  for (const auto& [name, tensor] : model.constants) {
    inputs_.push_back(values_[static_cast<size_t>(ValueIndex(name, dims))]);
  }
  FillTable();
  graph_ = {sizeof(graph_),
            values_.data(),
            values_.size(),
            nodes_.data(),
            nodes_.size(),
            graph_inputs_.data(),
            graph_inputs_.size(),
            graph_outputs_.data(),
            graph_outputs_.size(),
            &GiveAttribute,
            &GiveConstant,
            &GiveOnnx,
            this};
  partition_ = {sizeof(partition_),
                inputs_.data(),
                inputs_.size(),
                outputs_.data(),
                outputs_.size(),
                model_.attention ? &*model_.attention : nullptr,
                &graph_,
                &GiveInput,
                weights_.data(),
                weights_.size(),
                &GiveWeightFile,
                this};
}

Host::~Host() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

int32_t Host::ValueIndex(const std::string& name, const std::map<std::string, Dims>& dims) {
  const auto [at, is_new] = value_index_.emplace(name, static_cast<int32_t>(values_.size()));
  if (!is_new) return at->second;
  bctx_value value{at->first.c_str(), kFloat, -1, nullptr};
  if (const auto known = dims.find(name); known != dims.end()) {
    const Dims& own = dims_.emplace_back(known->second);
    value.rank = static_cast<int32_t>(own.size());
    value.dims = own.data();
  }
  values_.push_back(value);
  return at->second;
}

void Host::FillTable() {
  std::map<std::string, uint64_t> places, offsets;
  for (size_t i = 0; i < model_.constants.size(); ++i) {
    const bctx_bytes bytes = AsBytes(model_.constants[i].second);
    if (bytes.size < kTableLimit) continue;
    const std::string text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    const auto [place, is_new] = places.emplace(text, (table_.size() + 63) / 64 * 64);
    if (is_new) {
      table_.resize(place->second);
      table_ += text;
    }
    offsets[model_.constants[i].first] = place->second;
    weights_.push_back({model_.inputs.size() + i, place->second, bytes.size, {}});
    // Equal bytes, equal digest; the suite has no SHA-256, and no plug-in can tell.
    std::memcpy(weights_.back().digest, &place->second, sizeof(place->second));
  }
  onnx_[BCTX_ONNX_OPERANDS] = WriteOnnx(model_, BCTX_ONNX_OPERANDS, offsets);
  onnx_[BCTX_ONNX_WEIGHTS] = WriteOnnx(model_, BCTX_ONNX_WEIGHTS, offsets);
}

std::vector<bctx_bound_weight> Host::BoundWeights() const {
  std::vector<bctx_bound_weight> bound;
  for (const bctx_weight& weight : weights_) {
    bound.push_back({weight.offset, weight.size,
                     reinterpret_cast<const uint8_t*>(table_.data()) + weight.offset,
                     weight.offset});
  }
  return bound;
}

std::string Host::WeightFile() const {
  const std::lock_guard lock(mutex_);
  if (!file_.empty()) return file_;
  std::string folder =
      (std::filesystem::temp_directory_path() / "bctx-conformance-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make " + folder);
  folder_ = folder;
  std::ofstream(folder + "/weights", std::ios::binary) << table_;
  return file_ = folder + "/weights";
}

std::vector<Tensor> Host::Operands(const std::vector<Tensor>& inputs) const {
  std::vector<Tensor> operands = inputs;
  for (const auto& [name, tensor] : model_.constants) operands.push_back(tensor);
  return operands;
}

const Tensor* Host::Constant(const std::string& name) const {
  for (const auto& [own, tensor] : model_.constants) {
    if (own == name) return &tensor;
  }
  return nullptr;
}

bctx_code Host::GiveAttribute(const bctx_graph* graph, size_t node, const char* name,
                              bctx_attribute* attribute, bctx_error* error) {
  const auto* self = static_cast<const Host*>(graph->host);
  if (node >= self->model_.nodes.size()) return Fail(error, BCTX_INVALID_ARGUMENT, "no such node");
  bctx_attribute given{};
  given.struct_size = attribute->struct_size;
  const std::optional<int64_t>& axis = self->model_.nodes[node].axis;
  if (axis && std::strcmp(name, "axis") == 0) {
    given.kind = BCTX_ATTRIBUTE_INTS;
    given.count = 1;
    given.ints = &*axis;
  }
  std::memcpy(attribute, &given, std::min<size_t>(attribute->struct_size, sizeof(given)));
  return BCTX_OK;
}

bctx_code Host::GiveConstant(const bctx_graph* graph, size_t value, bctx_bytes* bytes,
                             bctx_error* error) {
  const auto* self = static_cast<const Host*>(graph->host);
  const Tensor* tensor =
      value < self->values_.size() ? self->Constant(self->values_[value].name) : nullptr;
  if (tensor == nullptr) return Fail(error, BCTX_UNSUPPORTED, "the value is not a constant");
  *bytes = AsBytes(*tensor);
  return BCTX_OK;
}

bctx_code Host::GiveOnnx(const bctx_graph* graph, int32_t form, bctx_bytes* model,
                         bctx_error* error) {
  if (form != BCTX_ONNX_OPERANDS && form != BCTX_ONNX_WEIGHTS) {
    return Fail(error, BCTX_INVALID_ARGUMENT, "there is no such form");
  }
  const std::string& bytes = static_cast<const Host*>(graph->host)->onnx_[form];
  *model = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  return BCTX_OK;
}

bctx_code Host::GiveInput(const bctx_partition* partition, size_t input, bctx_bytes* bytes,
                          bctx_error* error) {
  const auto* self = static_cast<const Host*>(partition->host);
  const size_t activations = self->model_.inputs.size();
  if (input < activations || input >= self->inputs_.size()) {
    return Fail(error, BCTX_UNSUPPORTED, "the input is not a constant");
  }
  *bytes = AsBytes(self->model_.constants[input - activations].second);
  return BCTX_OK;
}

bctx_code Host::GiveWeightFile(const bctx_partition* partition, const char** path,
                               bctx_error* error) {
  const auto* self = static_cast<const Host*>(partition->host);
  if (self->weights_.empty()) return Fail(error, BCTX_UNSUPPORTED, "the weight table is empty");
  try {
    self->WeightFile();
  } catch (const std::exception& exception) {
    return Fail(error, BCTX_INVALID_ARGUMENT, exception.what());
  }
  *path = self->file_.c_str();
  return BCTX_OK;
}

}  // namespace backendctx::conformance
