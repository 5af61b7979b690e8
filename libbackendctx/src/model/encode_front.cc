// A front in four steps on a copy of the stored graph: partitions become calls, constants are
// hoisted, tensors get the form that stock runtimes read, the tag is added. The metadata encoding
// is the same without the first step.
#include <fmt/format.h>

#include <set>

#include "model/encode_functions.h"
#include "model/front.h"
#include "model/front_tag.h"
#include "model/function_body.h"
#include "model/guard.h"
#include "model/hoist.h"
#include "model/state.h"
#include "model/visit.h"

namespace backendctx::model {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::TensorProto;

constexpr int64_t kFunctionsIr = 8;         // the first with model-local functions
constexpr int64_t kFreeInitializersIr = 4;  // the first whose initializers need be no inputs
constexpr char kContainerInitializer[] = "backendctx_container";
constexpr uint64_t kModelBytes = (1ull << 31) - 1;

class FrontEncoder {
 public:
  FrontEncoder(const FlatModel::State& state, const FrontTag& tag, const Layout& layout)
      : state_(state), tag_(tag), layout_(layout), front_(state.stored) {}

  // `container`: what is embedded; null: nothing is.
  Result<std::string> Run(const std::vector<EncodedPartition>& partitions,
                          const std::string* container) {
    BCTX_RETURN_IF_ERROR(CheckEmbedded(container));
    BCTX_RETURN_IF_ERROR(AddStructure(partitions));
    BCTX_RETURN_IF_ERROR(PlaceTensors());
    if (container) AddContainer(*container);
    auto* property = front_.add_metadata_props();
    property->set_key(kFrontProperty);
    property->set_value(EncodeTag(tag_));
    std::string bytes;
    if (front_.ByteSizeLong() <= kModelBytes && front_.SerializeToString(&bytes)) return bytes;
    return TooLarge();
  }

  Result<FrontPlan> Plan(const std::vector<EncodedPartition>& partitions) {
    FrontPlan plan;
    plan.container_name = ContainerName();
    BCTX_RETURN_IF_ERROR(AddStructure(partitions));
    for (const TensorProto& tensor : front_.graph().initializer()) {
      BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(tensor));
      if (!replaced) continue;
      plan.tensors.push_back(
          {tensor.name(), replaced->digest, tensor.data_type() != TensorProto::STRING});
    }
    return plan;
  }

 private:
  Status TooLarge() const {
    return Status(StatusCode::kResourceExhausted,
                  fmt::format("front: found more than {} bytes that stay inside{}", kModelBytes,
                              tag_.embedded.empty() ? ""
                                                    : "; without --embed the weights lie in a "
                                                      "file beside it"));
  }

  // New among all names of values, so that branches can capture it too.
  std::string ContainerName() const {
    NameSet taken;
    CollectNames(state_.stored.graph(), &taken);
    std::string name = kContainerInitializer;
    while (taken.count(name)) name += '_';
    return name;
  }

  Status CheckEmbedded(const std::string* container) const {
    if (!container) {
      if (tag_.embedded.empty()) return OkStatus();
      return Status(StatusCode::kInvalidArgument, "an embedded container has no bytes");
    }
    if (tag_.encoding == Encoding::kFunction && tag_.embedded == ContainerName()) return OkStatus();
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("embedded container: found initializer \"{}\", expected \"{}\" in the "
                    "function encoding",
                    tag_.embedded, ContainerName()));
  }

  // Everything but tensors' data.
  Status AddStructure(const std::vector<EncodedPartition>& partitions) {
    if (tag_.encoding == Encoding::kFunction) BCTX_RETURN_IF_ERROR(AddFunctions(partitions));
    const int initializers = front_.graph().initializer_size();
    BCTX_RETURN_IF_ERROR(HoistConstants(hoisted_, &front_));
    if (front_.graph().initializer_size() > initializers || !tag_.embedded.empty()) {
      RaiseIr(kFreeInitializersIr);
    }
    return OkStatus();
  }

  void AddContainer(const std::string& bytes) {
    TensorProto* tensor = front_.mutable_graph()->add_initializer();
    tensor->set_name(tag_.embedded);
    tensor->set_data_type(TensorProto::UINT8);
    tensor->add_dims(static_cast<int64_t>(bytes.size()));
    tensor->set_raw_data(bytes);
  }

  void RaiseIr(int64_t version) {
    if (front_.ir_version() < version) front_.set_ir_version(version);
  }

  Status AddFunctions(const std::vector<EncodedPartition>& partitions) {
    FunctionEncoder encoder(state_, tag_, &front_);
    BCTX_RETURN_IF_ERROR(encoder.Run(partitions));
    hoisted_ = encoder.hoisted();
    if (!partitions.empty()) RaiseIr(kFunctionsIr);
    return OkStatus();
  }

  Status PlaceTensors() {
    std::set<const TensorProto*> top;
    for (const TensorProto& tensor : front_.graph().initializer()) top.insert(&tensor);
    uint64_t inside = 0;
    return VisitTensors(&front_, [&](TensorProto* tensor, const std::string& place) -> Status {
      return PlaceTensor(tensor, top.count(tensor) > 0, &inside).WithContext(place);
    });
  }

  Status PlaceTensor(TensorProto* tensor, bool is_top, uint64_t* inside) {
    BCTX_ASSIGN_OR_RETURN(const std::optional<Replaced> replaced, ReadReplaced(*tensor));
    if (!replaced) {
      RemoveNotes(tensor);
      return OkStatus();
    }
    if (is_top && tensor->data_type() != TensorProto::STRING && tag_.embedded.empty()) {
      if (const auto placement = layout_(replaced->digest)) {
        return SetExternal(*placement, replaced->size, tensor);
      }
    }
    *inside += replaced->size;
    if (*inside > kModelBytes) return TooLarge();
    const TensorContent* content = state_.Find(replaced->digest);
    if (!content) return Status(StatusCode::kInternal, "a content is missing");
    BCTX_ASSIGN_OR_RETURN(std::string bytes, ReadAll(*content));
    return PutBack(tensor, std::move(bytes));
  }

  Status SetExternal(const Placement& placement, uint64_t size, TensorProto* tensor) const {
    if (placement.length != size) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("layout: found length {}, expected {}", placement.length, size));
    }
    tensor->clear_external_data();
    tensor->set_data_location(TensorProto::EXTERNAL);
    const std::pair<const char*, std::string> entries[] = {
        {"location", tag_.container},
        {"offset", std::to_string(placement.offset)},
        {"length", std::to_string(placement.length)}};
    for (const auto& [key, value] : entries) {
      auto* entry = tensor->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return OkStatus();
  }

  const FlatModel::State& state_;
  const FrontTag& tag_;
  const Layout& layout_;
  ModelProto front_;
  ConstantSet hoisted_;
};

}  // namespace

Result<std::string> EncodeFront(const FlatModel& flat,
                                const std::vector<EncodedPartition>& partitions,
                                const FrontTag& tag, const Layout& layout,
                                const std::string* container) {
  return Guarded("encoding a front", [&] {
    return FrontEncoder(flat.state(), tag, layout).Run(partitions, container);
  });
}

Result<FrontPlan> PlanFront(const FlatModel& flat, const std::vector<EncodedPartition>& partitions,
                            Encoding encoding) {
  FrontTag tag;
  tag.encoding = encoding;
  const Layout nowhere = [](const Digest&) { return std::optional<Placement>(); };
  return Guarded("planning a front",
                 [&] { return FrontEncoder(flat.state(), tag, nowhere).Plan(partitions); });
}

Result<std::vector<std::string>> CallOperands(const FlatModel& flat,
                                              const EncodedPartition& partition) {
  return Guarded("a partition's operands", [&]() -> Result<std::vector<std::string>> {
    BCTX_ASSIGN_OR_RETURN(Body body, BuildBody(flat.state(), partition));
    return std::move(body.operands);
  });
}

}  // namespace backendctx::model
