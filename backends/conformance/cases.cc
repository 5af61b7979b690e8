#include "conformance/cases.h"

#include <array>

namespace backendctx::conformance {
namespace {

Node Make(const std::string& op, std::vector<std::string> inputs, const std::string& output) {
  return {"", op, std::move(inputs), output, std::nullopt};
}

// Broadcasting of every sort, constants on both sides of the limit of the weight table.
Model Elementwise() {
  Model model{"elementwise", {{"a", {-1, 4, 8}}, {"b", {-1, 1, 8}}}, {}, {}, {"y"}, {}, {}};
  model.constants = {
      {"grid", RandomTensor({4, 8}, 3)}, {"row", RandomTensor({8}, 4)}, {"two", {{}, {2}}}};
  model.nodes = {Make("Add", {"a", "b"}, "sum"),         Make("Mul", {"sum", "row"}, "scaled"),
                 Make("Relu", {"scaled"}, "positive"),   Make("Add", {"positive", "two"}, "above"),
                 Make("Div", {"row", "above"}, "ratio"), Make("Sub", {"ratio", "grid"}, "y")};
  model.shapes = {{{1, 4, 8}, {1, 1, 8}}, {{3, 4, 8}, {3, 1, 8}}, {{2, 4, 8}, {1, 1, 8}}};
  return model;
}

// Two layers, whose weights are in the table and whose second bias is not.
Model Layers() {
  Model model{"layers", {{"x", {-1, 24}}}, {}, {}, {"y"}, {}, {}};
  model.constants = {{"w1", RandomTensor({24, 40}, 5)},
                     {"b1", RandomTensor({40}, 6)},
                     {"w2", RandomTensor({40, 6}, 7)},
                     {"b2", RandomTensor({6}, 8)}};
  model.nodes = {Make("MatMul", {"x", "w1"}, "h1"), Make("Add", {"h1", "b1"}, "h2"),
                 Make("Tanh", {"h2"}, "h3"), Make("MatMul", {"h3", "w2"}, "h4"),
                 Make("Add", {"h4", "b2"}, "y")};
  model.shapes = {{{1, 24}}, {{7, 24}}, {{64, 24}}};
  return model;
}

// Two weights of the same bytes, which share their place in the table, and one used twice.
Model SharedWeights() {
  Model model{"shared-weights", {{"x", {-1, 16}}}, {}, {}, {"y"}, {}, {}};
  model.constants = {{"w", RandomTensor({16, 16}, 9)},
                     {"again", RandomTensor({16, 16}, 9)},
                     {"other", RandomTensor({16, 16}, 10)}};
  model.nodes = {Make("MatMul", {"x", "w"}, "a"), Make("MatMul", {"a", "again"}, "b"),
                 Make("MatMul", {"b", "other"}, "c"), Make("MatMul", {"c", "w"}, "y")};
  model.shapes = {{{1, 16}}, {{5, 16}}};
  return model;
}

Model SeveralOutputs() {
  Model model{"several-outputs", {{"x", {-1, -1}}}, {}, {}, {"erf", "same", "gate"}, {}, {}};
  model.nodes = {Make("Erf", {"x"}, "erf"), Make("Identity", {"x"}, "same"),
                 Make("Sigmoid", {"erf"}, "gate")};
  model.shapes = {{{1, 1}}, {{3, 33}}, {{129, 65}}};
  return model;
}

Model Softmax() {
  Model model{"softmax", {{"x", {-1, -1, -1}}}, {}, {}, {"y"}, {}, {}};
  model.nodes = {Make("Softmax", {"x"}, "y")};
  model.nodes[0].axis = -1;
  model.shapes = {{{1, 1, 1}}, {{2, 3, 50}}, {{4, 64, 128}}};
  return model;
}

// One operator, for backends that take few.
Model Single(const std::string& op, bool is_binary) {
  Model model{"single-" + op, {{"x", {-1, 12}}}, {}, {Make(op, {"x"}, "y")}, {"y"}, {}, {}};
  if (op == "MatMul") {
    model.constants = {{"w", RandomTensor({12, 5}, 11)}};
    model.nodes[0].inputs.push_back("w");
  } else if (is_binary) {
    model.inputs.push_back({"z", {-1, 12}});
    model.nodes[0].inputs.push_back("z");
  }
  for (const int64_t rows : {1, 3, 200}) {
    model.shapes.emplace_back(model.inputs.size(), Dims{rows, 12});
  }
  return model;
}

// Another axis than the last: many backends have reasons not to.
Model SoftmaxOfRows() {
  Model model{"softmax-of-rows", {{"x", {-1, 5, 7}}}, {}, {}, {"y"}, {}, {}};
  model.nodes = {Make("Softmax", {"x"}, "y")};
  model.nodes[0].axis = 1;
  model.shapes = {{{1, 5, 7}}, {{3, 5, 7}}};
  return model;
}

bctx_attention_operand Operand(int32_t index, bool is_transposed) {
  bctx_attention_operand operand{index, {0, 1, 2, 3}};
  if (is_transposed) {
    operand.axis[2] = 3;
    operand.axis[3] = 2;
  }
  return operand;
}

// Attention over (batch, head, sequence, channel), the keys transposed by who made them.
Model Attention(bool has_mask) {
  Model model{has_mask ? "attention-mask" : "attention", {}, {}, {}, {"y"}, {}, {}};
  model.inputs = {{"q", {-1, 4, -1, 32}}, {"k", {-1, 4, 32, -1}}, {"v", {-1, 4, -1, 32}}};
  if (has_mask) model.inputs.push_back({"mask", {-1, 1, 1, -1}});
  model.constants = {{"scale", {{}, {0.25F}}}};
  model.nodes = {Make("MatMul", {"q", "k"}, "products"),
                 Make("Mul", {"products", "scale"}, "scores")};
  if (has_mask) model.nodes.push_back(Make("Add", {"scores", "mask"}, "masked"));
  model.nodes.push_back(Make("Softmax", {has_mask ? "masked" : "scores"}, "weights"));
  model.nodes.back().axis = -1;
  model.nodes.push_back(Make("MatMul", {"weights", "v"}, "y"));
  for (const auto& [batch, queries, keys] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {2, 7, 19}, {1, 96, 160}}) {
    model.shapes.push_back({{batch, 4, queries, 32}, {batch, 4, 32, keys}, {batch, 4, keys, 32}});
    if (has_mask) model.shapes.back().push_back({batch, 1, 1, keys});
  }
  bctx_attention attention{};
  attention.struct_size = sizeof(attention);
  attention.q = Operand(0, false);
  attention.k = Operand(1, true);
  attention.v = Operand(2, false);
  attention.y = Operand(0, false);
  attention.q_heads = attention.kv_heads = 4;
  attention.qk_head_size = attention.v_head_size = 32;
  attention.scale = 0.25F;
  attention.masked_row = BCTX_MASKED_ROW_NAN;
  if (has_mask) {
    attention.mask_count = 1;
    attention.masks[0] = {3, BCTX_MASK_ADD, 0};
  }
  model.attention = attention;
  return model;
}

}  // namespace

const std::vector<Model>& Cases() {
  static const std::vector<Model> cases = [] {
    std::vector<Model> all = {Elementwise(), Layers(),        SharedWeights(),  SeveralOutputs(),
                              Softmax(),     SoftmaxOfRows(), Attention(false), Attention(true)};
    for (const char* op : {"Add", "Sub", "Mul", "Div", "MatMul"}) all.push_back(Single(op, true));
    for (const char* op : {"Relu", "Identity", "Tanh", "Sigmoid", "Erf"}) {
      all.push_back(Single(op, false));
    }
    return all;
  }();
  return cases;
}

const Model& StrangeCase() {
  static const Model model = [] {
    Model strange{"strange", {{"x", {-1, 8}}}, {}, {}, {"y"}, {}, {}};
    strange.nodes = {Make("Relu", {"x"}, "a"), Make("NoBackendHasThis", {"a"}, "b"),
                     Make("Relu", {"b"}, "y")};
    strange.nodes[1].domain = "org.example";
    strange.shapes = {{{2, 8}}};
    return strange;
  }();
  return model;
}

}  // namespace backendctx::conformance
