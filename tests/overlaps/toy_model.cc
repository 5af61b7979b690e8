#include "overlaps/toy_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <stdexcept>

#include "random_models/random.h"

namespace backendctx::tests {
namespace {

using model::GraphView;

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  onnx::ModelProto Run() {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(17);
    onnx::GraphProto* graph = model_.mutable_graph();
    graph->set_name("toy");
    for (const char* name : {"x", "second"}) SetType(graph->add_input(), name);
    graph->add_input()->set_name("flag");
    graph->mutable_input(2)->mutable_type()->mutable_tensor_type()->set_elem_type(
        onnx::TensorProto::BOOL);
    graph->mutable_input(2)->mutable_type()->mutable_tensor_type()->mutable_shape();
    std::vector<std::string> values = {"x", "second"};
    Fill(graph, &values, 6 + random_.Below(14), 0);
    SetType(graph->add_output(), values.back());
    for (size_t i = 2; i + 1 < values.size(); ++i) {
      if (random_.Chance(10)) SetType(graph->add_output(), values[i]);
    }
    if (random_.Chance(20)) {
      auto* nodes = graph->mutable_node();
      std::reverse(nodes->pointer_begin(), nodes->pointer_end());
    }
    return std::move(model_);
  }

 private:
  static void SetType(onnx::ValueInfoProto* info, const std::string& name) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t dim : {4, 16}) type->mutable_shape()->add_dim()->set_dim_value(dim);
  }

  std::string Name(const char* base) { return base + std::to_string(names_++); }

  const std::string& Old(const std::vector<std::string>& values) {
    const size_t back = std::min<size_t>(values.size(), 1 + random_.Below(6));
    return values[values.size() - back];
  }

  onnx::NodeProto* Node(onnx::GraphProto* graph, const char* op,
                        const std::vector<std::string>& inputs) {
    onnx::NodeProto* node = graph->add_node();
    node->set_op_type(op);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(Name("v"));
    if (random_.Chance(50)) node->set_name(Name("node"));
    return node;
  }

  std::string Constant(onnx::GraphProto* graph) {
    onnx::NodeProto* node = Node(graph, "Constant", {});
    auto* attribute = node->add_attribute();
    attribute->set_name("value_float");
    attribute->set_type(onnx::AttributeProto::FLOAT);
    attribute->set_f(random_.Number());
    return node->output(0);
  }

  std::string Shape(onnx::GraphProto* graph) {
    onnx::NodeProto* node = Node(graph, "Constant", {});
    auto* attribute = node->add_attribute();
    attribute->set_name("value_ints");
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const int64_t dim : {4, 16}) attribute->add_ints(dim);
    return node->output(0);
  }

  std::string Weight() {
    if (!weights_.empty() && random_.Chance(40)) return weights_[random_.Below(weights_.size())];
    onnx::TensorProto* tensor = model_.mutable_graph()->add_initializer();
    tensor->set_name(Name("w"));
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    const bool small = random_.Chance(25);
    std::vector<float> numbers(small ? 1 : 64);
    for (float& number : numbers) number = random_.Number();
    if (!small) {
      tensor->add_dims(4);
      tensor->add_dims(16);
    }
    tensor->set_raw_data(numbers.data(), numbers.size() * sizeof(float));
    weights_.push_back(tensor->name());
    return tensor->name();
  }

  void Fill(onnx::GraphProto* graph, std::vector<std::string>* values, size_t count, int depth) {
    std::string shape;
    for (size_t i = 0; i < count; ++i) {
      const size_t kind = random_.Below(100);
      onnx::NodeProto* node = nullptr;
      if (kind < 30) {
        node = Node(graph, random_.Of({"Neg", "Abs", "Relu"}), {Old(*values)});
      } else if (kind < 65) {
        node = Node(graph, random_.Of({"Add", "Sub", "Mul"}), {Old(*values), Old(*values)});
      } else if (kind < 78) {
        node = Node(graph, random_.Of({"Add", "Sub", "Mul"}), {Old(*values), Weight()});
      } else if (kind < 86) {
        node = Node(graph, random_.Of({"Add", "Mul"}), {Old(*values), Constant(graph)});
      } else if (kind < 92 || depth > 1) {
        if (shape.empty() || random_.Chance(30)) shape = Shape(graph);
        node = Node(graph, "Reshape", {Old(*values), shape});
      } else {
        node = If(graph, *values, depth);
      }
      values->push_back(node->output(0));
    }
  }

  onnx::NodeProto* If(onnx::GraphProto* graph, const std::vector<std::string>& values, int depth) {
    onnx::NodeProto made;
    for (const char* name : {"then_branch", "else_branch"}) {
      auto* attribute = made.add_attribute();
      attribute->set_name(name);
      attribute->set_type(onnx::AttributeProto::GRAPH);
      attribute->mutable_g()->set_name(Name("branch"));
      std::vector<std::string> inside = values;
      Fill(attribute->mutable_g(), &inside, 2 + random_.Below(3), depth + 1);
      SetType(attribute->mutable_g()->add_output(), inside.back());
    }
    onnx::NodeProto* node = Node(graph, "If", {"flag"});
    *node->mutable_attribute() = made.attribute();
    return node;
  }

  Random random_;
  onnx::ModelProto model_;
  size_t names_ = 0;
  std::vector<std::string> weights_;
};

class Programmer {
 public:
  std::string Run(const GraphView& graph, const manifest::Partition& partition) {
    for (const manifest::BoundaryValue& input : partition.inputs) registers_[input.name] = next_++;
    text_ = "in " + std::to_string(next_) + "\n";
    graphs_.push_back(&graph);
    for (const manifest::BoundaryValue& output : partition.outputs) Make(output.name);
    for (const manifest::BoundaryValue& output : partition.outputs) {
      text_ += "out " + std::to_string(registers_.at(output.name)) + "\n";
    }
    return text_;
  }

 private:
  // The register of a value, which is made when it is first asked for.
  int Make(const std::string& value) {
    if (const auto made = registers_.find(value); made != registers_.end()) return made->second;
    for (auto graph = graphs_.rbegin(); graph != graphs_.rend(); ++graph) {
      const auto producer = (*graph)->producer.find(value);
      if (producer == (*graph)->producer.end()) continue;
      return Node((*graph)->nodes[producer->second]);
    }
    throw std::runtime_error("nobody makes " + value);
  }

  int Node(const model::Node& node) {
    std::string line;
    if (node.op_type == "Constant") {
      const model::TensorInfo tensor = *model::ConstantNodeTensor(node);
      float number = 0;
      std::memcpy(&number, tensor.bytes.data(), sizeof number);
      return Put(node, "const", fmt::format(" {:.9g}", number));
    }
    if (node.op_type == "If") return If(node);
    std::string op = node.op_type == "Reshape" ? "copy" : node.op_type;
    op[0] = static_cast<char>(std::tolower(op[0]));
    for (size_t i = 0; i < (op == "copy" ? 1 : node.inputs.size()); ++i) {
      line += " " + std::to_string(Make(node.inputs[i]));
    }
    return Put(node, op, line);
  }

  int Put(const model::Node& node, const std::string& op, const std::string& rest) {
    const int result = registers_[node.outputs[0]] = next_++;
    text_ += op + " " + std::to_string(result) + rest + "\n";
    return result;
  }

  // What is made inside a branch is made again where it is needed outside of it.
  int If(const model::Node& node) {
    const GraphView *then = node.Find("then_branch")->graph.get(),
                    *otherwise = node.Find("else_branch")->graph.get();
    const int condition = Make(node.inputs[0]);
    const int result = next_++;
    text_ += "if " + std::to_string(result) + " " + std::to_string(condition) + "\n";
    Branch(*then);
    text_ += "else\n";
    Branch(*otherwise);
    text_ += "end\n";
    return registers_[node.outputs[0]] = result;
  }

  void Branch(const GraphView& branch) {
    const std::map<std::string, int> before = registers_;
    graphs_.push_back(&branch);
    const int result = Make(branch.outputs.at(0));
    text_ += "yield " + std::to_string(result) + "\n";
    graphs_.pop_back();
    registers_ = before;
  }

  std::vector<const GraphView*> graphs_;
  std::map<std::string, int> registers_;
  int next_ = 0;
  std::string text_;
};

}  // namespace

onnx::ModelProto ToyModel(uint64_t seed) { return Maker(seed).Run(); }

std::string ToyProgram(const model::FlatModel& flat, const manifest::Partition& partition) {
  for (const GraphView* graph : model::AllGraphs(flat.view())) {
    if (graph->path == partition.graph_path) return Programmer().Run(*graph, partition);
  }
  throw std::runtime_error("no graph " + partition.graph_path);
}

}  // namespace backendctx::tests
