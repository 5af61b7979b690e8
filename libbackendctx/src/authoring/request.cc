#include "authoring/request.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/os/file.h"
#include "fmt/format.h"
#include "package/state.h"
#include "package/weight_table.h"

namespace backendctx::authoring {
namespace {

constexpr char kWeightFile[] = "weights";

bctx_code Fail(bctx_error* error, const char* message) {
  if (error != nullptr) std::strncpy(error->message, message, sizeof(error->message) - 1);
  return BCTX_UNSUPPORTED;
}

}  // namespace

Result<std::vector<std::string>> ConstantsOf(const model::FlatModel& flat, const Region& region) {
  std::vector<std::string> constants(region.partition.inputs.size());
  for (size_t i = 0; i < constants.size(); ++i) {
    const manifest::BoundaryValue& input = region.partition.inputs[i];
    if (!input.content) continue;
    BCTX_ASSIGN_OR_RETURN(constants[i], ConstantBytes(flat, *region.graph, input.name));
  }
  return constants;
}

Result<std::unique_ptr<PartitionForPlugin>> PartitionForPlugin::Make(
    const model::FlatModel& flat, const Region& region, const std::string& temporary_folder) {
  std::unique_ptr<PartitionForPlugin> made(new PartitionForPlugin);
  made->temporary_folder_ = temporary_folder;
  made->source_ = region.partition;
  BCTX_ASSIGN_OR_RETURN(made->body_, model::BodyModel(flat, package::ToEncoded(region.partition)));
  made->FillValues(made->source_.inputs, &made->input_dims_, &made->inputs_);
  made->FillValues(made->source_.outputs, &made->output_dims_, &made->outputs_);
  BCTX_ASSIGN_OR_RETURN(made->constants_, ConstantsOf(flat, region));
  if (region.attention) BCTX_RETURN_IF_ERROR(made->FillAttention(*region.attention));
  made->FillWeights();
  made->MakeGraph(flat, region);
  bctx_partition& partition = made->partition_;
  partition.struct_size = sizeof(partition);
  partition.inputs = made->inputs_.data();
  partition.input_count = made->inputs_.size();
  partition.outputs = made->outputs_.data();
  partition.output_count = made->outputs_.size();
  partition.attention = region.attention ? &made->attention_ : nullptr;
  partition.graph = &made->graph_->graph();
  partition.constant = &GiveConstant;
  partition.weights = made->weights_.data();
  partition.weight_count = made->weights_.size();
  partition.weight_file = &GiveWeightFile;
  partition.host = made.get();
  return made;
}

void PartitionForPlugin::FillValues(const std::vector<manifest::BoundaryValue>& from,
                                    std::vector<std::vector<int64_t>>* dims,
                                    std::vector<bctx_value>* values) {
  dims->resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    for (const manifest::Dim& dim : from[i].dims) (*dims)[i].push_back(dim.value);
    values->push_back({from[i].name.c_str(), from[i].element_type,
                       from[i].has_shape ? static_cast<int32_t>(from[i].dims.size()) : -1,
                       (*dims)[i].data()});
  }
}

int32_t PartitionForPlugin::InputIndex(const std::string& name) const {
  for (size_t i = 0; i < source_.inputs.size(); ++i) {
    if (source_.inputs[i].name == name) return static_cast<int32_t>(i);
  }
  return -1;
}

Status PartitionForPlugin::FillOperand(const patterns::Operand& from, const char* role, bool output,
                                       bctx_attention_operand* to) const {
  to->index = output ? (source_.outputs.at(0).name == from.value ? 0 : -1) : InputIndex(from.value);
  for (int i = 0; i < 4; ++i) to->axis[i] = from.axis[i];
  if (to->index >= 0) return OkStatus();
  return Status(StatusCode::kInternal,
                fmt::format("{} of {} is no boundary value: '{}'", role, source_.id, from.value));
}

Status PartitionForPlugin::FillAttention(const patterns::Attention& from) {
  attention_.struct_size = sizeof(attention_);
  BCTX_RETURN_IF_ERROR(FillOperand(from.q, "q", false, &attention_.q));
  BCTX_RETURN_IF_ERROR(FillOperand(from.k, "k", false, &attention_.k));
  BCTX_RETURN_IF_ERROR(FillOperand(from.v, "v", false, &attention_.v));
  BCTX_RETURN_IF_ERROR(FillOperand(from.y, "y", true, &attention_.y));
  attention_.q_heads = from.q_heads;
  attention_.kv_heads = from.kv_heads;
  attention_.qk_head_size = from.qk_head_size;
  attention_.v_head_size = from.v_head_size;
  attention_.scale = from.scale;
  attention_.softcap = from.softcap;
  attention_.causal = from.causal ? 1 : 0;
  attention_.masked_row = from.lowest_masks       ? BCTX_MASKED_ROW_ZERO_BIAS
                          : from.zero_masked_rows ? BCTX_MASKED_ROW_ZERO
                                                  : BCTX_MASKED_ROW_NAN;
  if (from.masks.size() > BCTX_MAX_MASKS) {
    return Status(StatusCode::kInternal,
                  fmt::format("{} has {} masks", source_.id, from.masks.size()));
  }
  for (const patterns::Mask& mask : from.masks) {
    bctx_attention_mask& to = attention_.masks[attention_.mask_count++];
    to.index = InputIndex(mask.value);
    static constexpr bctx_mask_kind kKinds[] = {BCTX_MASK_ADD, BCTX_MASK_KEEP, BCTX_MASK_DROP};
    to.kind = kKinds[static_cast<size_t>(mask.kind)];
    to.fill = mask.fill;
    if (to.index < 0) {
      return Status(StatusCode::kInternal,
                    fmt::format("mask of {} is no boundary value: '{}'", source_.id, mask.value));
    }
  }
  return OkStatus();
}

void PartitionForPlugin::FillWeights() {
  std::map<Digest, uint64_t> sizes;
  for (size_t i = 0; i < source_.inputs.size(); ++i) {
    if (source_.inputs[i].content) sizes[*source_.inputs[i].content] = constants_[i].size();
  }
  for (const package::WeightPlace& place :
       package::WeightTable(source_, [&sizes](const Digest& digest) { return sizes[digest]; })) {
    bctx_weight weight{place.input, place.offset, place.size, {}};
    std::copy(place.digest.bytes.begin(), place.digest.bytes.end(), weight.digest);
    weights_.push_back(weight);
  }
}

void PartitionForPlugin::MakeGraph(const model::FlatModel& flat, const Region& region) {
  std::vector<std::string> inputs, outputs;
  for (const manifest::BoundaryValue& input : source_.inputs) {
    if (input.role == manifest::ValueRole::kActivation) inputs.push_back(input.name);
  }
  for (const manifest::BoundaryValue& output : source_.outputs) outputs.push_back(output.name);
  graph_ = PluginGraph::Make(flat, *region.graph, region.nodes, inputs, outputs,
                             [this, &flat](bctx_onnx_form form) -> Result<std::string> {
                               if (form == BCTX_ONNX_OPERANDS) return body_;
                               model::WeightPlaces places{kWeightFile, {}};
                               for (const bctx_weight& weight : weights_) {
                                 places.offsets[source_.inputs[weight.input].name] = weight.offset;
                               }
                               return model::BodyModelWithWeights(flat, package::ToEncoded(source_),
                                                                  places);
                             });
}

Status PartitionForPlugin::WriteWeights() {
  BCTX_ASSIGN_OR_RETURN(os::TemporaryFolder folder, os::TemporaryFolder::Make(temporary_folder_));
  std::string table;
  for (const bctx_weight& weight : weights_) {
    if (weight.offset < table.size()) continue;  // shares the place of an equal one
    table.resize(weight.offset);
    table += constants_[weight.input];
  }
  const std::string path = os::Join(folder.path(), kWeightFile);
  BCTX_RETURN_IF_ERROR(os::WriteFile(path, table, os::AtomicFile::kMustBeNew));
  weight_folder_.emplace(std::move(folder));
  weight_file_ = path;
  return OkStatus();
}

bctx_code PartitionForPlugin::GiveConstant(const bctx_partition* partition, size_t index,
                                           bctx_bytes* bytes, bctx_error* error) {
  const auto* self = static_cast<const PartitionForPlugin*>(partition->host);
  if (index >= self->source_.inputs.size() || !self->source_.inputs[index].content) {
    return Fail(error, "the input is not a constant");
  }
  const std::string& value = self->constants_[index];
  *bytes = {reinterpret_cast<const uint8_t*>(value.data()), value.size()};
  return BCTX_OK;
}

bctx_code PartitionForPlugin::GiveWeightFile(const bctx_partition* partition, const char** path,
                                             bctx_error* error) {
  auto* self = static_cast<PartitionForPlugin*>(partition->host);
  if (self->weights_.empty()) return Fail(error, "the weight table is empty");
  const std::lock_guard lock(self->mutex_);
  if (self->weight_file_.empty()) {
    const Status written = self->WriteWeights();
    if (!written.ok()) {
      Fail(error, written.message().c_str());
      return BCTX_INVALID_ARGUMENT;
    }
  }
  *path = self->weight_file_.c_str();
  return BCTX_OK;
}

}  // namespace backendctx::authoring
