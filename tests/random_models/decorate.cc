// What a runtime does not look at: documentation, metadata, types of inner values, annotations,
// fields of a later ONNX, the order of nodes, and where the bytes of tensors lie.
#include <algorithm>
#include <type_traits>

#include "random_models/builder.h"

namespace backendctx::tests {
namespace {

using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

// Fields 1000 (a number) and 1001 (text) of a message, as a later version would write them.
const std::string kUnknown("\xc0\x3e\x07\xca\x3e\x03new", 9);

class Decorator {
 public:
  explicit Decorator(Builder* builder) : b_(*builder), random_(builder->random()) {}

  void Run() {
    onnx::ModelProto& model = b_.model();
    how_much_ = random_.Of<size_t>({0, 3, 20});
    external_ = random_.Of<size_t>({0, 0, 30, 100});
    model.set_producer_name("random");
    model.set_model_version(static_cast<int64_t>(random_.Below(5)));
    Texts(&model);
    Graph(model.mutable_graph());
    for (auto& function : *model.mutable_functions()) {
      Texts(&function);
      Nodes(function.mutable_node());
      for (auto& attribute : *function.mutable_attribute_proto()) Attribute(&attribute);
    }
    for (auto& training : *model.mutable_training_info()) {
      Unknown(&training);
      Graph(training.mutable_algorithm());
    }
    for (auto& import : *model.mutable_opset_import()) Unknown(&import);
    Devices(&model);
    if (random_.Chance(25)) Shuffle(model.mutable_graph());
  }

 private:
  template <typename Message>
  void Unknown(Message* message) {
    if (!random_.Chance(how_much_)) return;
    message->mutable_unknown_fields()->append(kUnknown);
    b_.Count("unknown fields");
  }

  template <typename Message>
  void Texts(Message* message) {
    Unknown(message);
    if (random_.Chance(how_much_)) message->set_doc_string("what it is for: \u00fc\n");
    if (random_.Chance(how_much_)) {
      auto* entry = message->add_metadata_props();
      entry->set_key("exporter/stack");
      entry->set_value("module.py:12\nmodule.py:30");
      Unknown(entry);
      b_.Count("metadata");
    }
  }

  void Values(google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>* values) {
    for (auto& value : *values) {
      Texts(&value);
      if (value.has_type()) Unknown(value.mutable_type());
      if (!value.type().tensor_type().has_shape()) continue;
      auto* shape = value.mutable_type()->mutable_tensor_type()->mutable_shape();
      for (auto& dim : *shape->mutable_dim()) {
        if (random_.Chance(how_much_)) dim.set_denotation("DATA");
      }
    }
  }

  void Graph(GraphProto* graph) {
    Texts(graph);
    Values(graph->mutable_input());
    Values(graph->mutable_output());
    for (TensorProto& tensor : *graph->mutable_initializer()) Tensor(&tensor);
    for (auto& sparse : *graph->mutable_sparse_initializer()) {
      Unknown(&sparse);
      Texts(sparse.mutable_values());
    }
    Nodes(graph->mutable_node());
    for (const NodeProto& node : graph->node()) {
      if (!random_.Chance(how_much_) || node.output_size() == 0) continue;
      auto* annotation = graph->add_quantization_annotation();
      annotation->set_tensor_name(node.output(0));
      auto* entry = annotation->add_quant_parameter_tensor_names();
      entry->set_key("SCALE_TENSOR");
      entry->set_value("x");
      b_.Count("quantization annotation");
    }
  }

  void Nodes(google::protobuf::RepeatedPtrField<NodeProto>* nodes) {
    for (NodeProto& node : *nodes) {
      Texts(&node);
      for (auto& attribute : *node.mutable_attribute()) Attribute(&attribute);
    }
  }

  void Attribute(onnx::AttributeProto* attribute) {
    Unknown(attribute);
    if (random_.Chance(how_much_)) attribute->set_doc_string("documented");
    if (attribute->has_t()) Tensor(attribute->mutable_t());
    if (attribute->has_g()) Graph(attribute->mutable_g());
  }

  void Tensor(TensorProto* tensor) {
    Texts(tensor);
    if (!tensor->has_raw_data() || !random_.Chance(external_)) return;
    const std::string file = random_.Of({"weights.bin", "more weights.data", "third"});
    std::string& bytes = b_.made().files[file];
    if (random_.Chance(30)) bytes.append(random_.Below(70), 'p');
    if (bytes.size() % 4 != 0) bytes.append(4 - bytes.size() % 4, 'p');
    const auto entry = [tensor](const char* key, const std::string& value) {
      auto* added = tensor->add_external_data();
      added->set_key(key);
      added->set_value(value);
    };
    entry("location", file);
    const size_t shared = bytes.find(tensor->raw_data());
    const bool found = shared != std::string::npos && shared % 4 == 0 && random_.Chance(50);
    entry("offset", std::to_string(found ? shared : bytes.size()));
    if (random_.Chance(70)) entry("length", std::to_string(tensor->raw_data().size()));
    if (random_.Chance(20)) entry("checksum", std::string(40, 'c'));
    if (!found) bytes += tensor->raw_data();
    tensor->clear_raw_data();
    tensor->set_data_location(TensorProto::EXTERNAL);
    b_.Count(found ? "shared external data" : "external data");
  }

  void Devices(onnx::ModelProto* model) {
    if (!random_.Chance(5)) return;
    auto* configuration = model->add_configuration();
    configuration->set_name("two");
    configuration->set_num_devices(2);
    for (NodeProto& node : *model->mutable_graph()->mutable_node()) {
      if (!random_.Chance(30)) continue;
      auto* device = node.add_device_configurations();
      device->set_configuration_id("two");
      device->set_pipeline_stage(1);
      b_.Count("device configuration");
    }
  }

  // The main graph alone: ONNX Runtime refuses branches in disorder.
  void Shuffle(GraphProto* graph) {
    auto* nodes = graph->mutable_node();
    for (int i = nodes->size() - 1; i > 0; --i) {
      nodes->SwapElements(i, static_cast<int>(random_.Below(static_cast<size_t>(i) + 1)));
    }
    b_.Count("unsorted nodes");
  }

  Builder& b_;
  Random& random_;
  size_t how_much_ = 0, external_ = 0;  // percent
};

}  // namespace

void Decorate(Builder* builder) { Decorator(builder).Run(); }

}  // namespace backendctx::tests
