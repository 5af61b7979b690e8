#include "authoring/request.h"

#include <cstring>

#include "base/bytes.h"
#include "fmt/format.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

Result<std::string> TensorBytes(const model::FlatModel& flat, const Digest& digest) {
  for (const model::TensorContent& tensor : flat.tensors()) {
    if (tensor.digest != digest) continue;
    std::string bytes;
    BCTX_RETURN_IF_ERROR(tensor.source([&](std::span<const uint8_t> piece) {
      bytes.append(base::AsText(piece));
      return OkStatus();
    }));
    return bytes;
  }
  return Status(StatusCode::kInternal, fmt::format("the model has no tensor {}", digest.Hex()));
}

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
    const std::optional<model::TensorInfo> tensor = region.graph->Constant(input.name);
    if (tensor && tensor->size < model::kInlineLimit) {
      constants[i] = tensor->bytes;
    } else {
      BCTX_ASSIGN_OR_RETURN(constants[i], TensorBytes(flat, *input.content));
    }
  }
  return constants;
}

Result<std::unique_ptr<PartitionForPlugin>> PartitionForPlugin::Make(const model::FlatModel& flat,
                                                                     const Region& region) {
  std::unique_ptr<PartitionForPlugin> made(new PartitionForPlugin);
  made->source_ = region.partition;
  BCTX_ASSIGN_OR_RETURN(made->body_, model::BodyModel(flat, package::ToEncoded(region.partition)));
  made->FillValues(made->source_.inputs, &made->input_dims_, &made->inputs_);
  made->FillValues(made->source_.outputs, &made->output_dims_, &made->outputs_);
  BCTX_ASSIGN_OR_RETURN(made->constants_, ConstantsOf(flat, region));
  BCTX_RETURN_IF_ERROR(made->FillAttention(region.attention));
  bctx_partition& partition = made->partition_;
  partition.struct_size = sizeof(partition);
  partition.inputs = made->inputs_.data();
  partition.input_count = made->inputs_.size();
  partition.outputs = made->outputs_.data();
  partition.output_count = made->outputs_.size();
  partition.attention = &made->attention_;
  partition.onnx = &GiveBody;
  partition.constant = &GiveConstant;
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

bctx_code PartitionForPlugin::GiveBody(const bctx_partition* partition, bctx_bytes* model,
                                       bctx_error*) {
  const auto* self = static_cast<const PartitionForPlugin*>(partition->host);
  *model = {reinterpret_cast<const uint8_t*>(self->body_.data()), self->body_.size()};
  return BCTX_OK;
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

}  // namespace backendctx::authoring
