// Random edits of the forms: nothing crashes, and whatever is taken is closed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "patterns/forms.h"

namespace backendctx::patterns {
namespace {

constexpr int kEdits = 400;

class Editor {
 public:
  Editor(onnx::ModelProto* model, unsigned seed) : graph_(*model->mutable_graph()), random_(seed) {}

  void Edit() {
    onnx::NodeProto& node = *graph_.mutable_node(Below(graph_.node_size()));
    switch (Below(5)) {
      case 0:  // another value as an input
        if (node.input_size() > 0) node.set_input(Below(node.input_size()), AnyValue());
        break;
      case 1:  // another order of axes, another axis, another element type
        for (onnx::AttributeProto& attribute : *node.mutable_attribute()) Change(&attribute);
        break;
      case 2:
        node.set_op_type(graph_.node(Below(graph_.node_size())).op_type());
        break;
      case 3:  // one more output of the graph
        graph_.add_output()->set_name(AnyValue());
        break;
      default:
        if (node.input_size() > 1) node.mutable_input()->SwapElements(0, 1);
    }
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  std::string AnyValue() {
    const int at = Below(graph_.node_size() + graph_.input_size() + graph_.initializer_size());
    if (at < graph_.node_size()) return graph_.node(at).output(0);
    if (at < graph_.node_size() + graph_.input_size()) {
      return graph_.input(at - graph_.node_size()).name();
    }
    return graph_.initializer(at - graph_.node_size() - graph_.input_size()).name();
  }

  void Change(onnx::AttributeProto* attribute) {
    if (attribute->ints_size() > 0) {
      attribute->set_ints(Below(attribute->ints_size()), Below(7) - 2);
    } else if (attribute->type() == onnx::AttributeProto::INT) {
      attribute->set_i(Below(12) - 2);
    }
  }

  onnx::GraphProto& graph_;
  std::mt19937 random_;
};

void CheckClosed(const model::GraphView& graph, const Attention& found) {
  const std::set<size_t> nodes(found.nodes.begin(), found.nodes.end());
  for (const size_t index : nodes) {
    for (const std::string& output : graph.nodes[index].outputs) {
      if (output == found.y.value) continue;
      CHECK(graph.is_output.count(output) == 0);
      const auto readers = graph.consumers.find(output);
      if (readers == graph.consumers.end()) continue;
      for (const size_t reader : readers->second) CHECK(nodes.count(reader) == 1);
    }
    for (const std::string& input : graph.nodes[index].inputs) {
      const auto made = graph.producer.find(input);
      if (input.empty() || (made != graph.producer.end() && nodes.count(made->second))) continue;
      const auto& names = graph.Constant(input) ? found.constants : found.inputs;
      CHECK(std::count(names.begin(), names.end(), input) == 1);
    }
  }
  CHECK(found.input_shapes.size() == found.inputs.size());
  CHECK(found.qk_head_size > 0);
}

TEST_CASE("random edits do no harm, and what is taken is closed", "[patterns][hostile]") {
  int taken = 0, left = 0;
  unsigned seed = 0;
  for (const char* form :
       {kOldBert, kLegacy, kDynamo, kGrouped, kOperator4, kOperator3, kJoined, kWrittenOut}) {
    const onnx::ModelProto original = ParseModel(form);
    for (int edit = 0; edit < kEdits; ++edit) {
      onnx::ModelProto model = original;
      Editor editor(&model, ++seed);
      for (unsigned count = 1 + seed % 3; count > 0; --count) editor.Edit();
      const auto view = model::BuildView(model);
      if (!view) continue;
      const AttentionReport report = FindAttention(*view, view->graph);
      for (const Attention& found : report.found) CheckClosed(view->graph, found);
      taken += static_cast<int>(report.found.size());
      left += static_cast<int>(report.not_taken.size());
      for (const NotTaken& other : report.not_taken) CHECK_FALSE(other.reason.empty());
    }
  }
  CHECK(taken > kEdits / 4);  // else the edits test nothing
  CHECK(left > kEdits / 4);
}

}  // namespace
}  // namespace backendctx::patterns
