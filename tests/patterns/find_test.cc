#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <limits>

#include "patterns/forms.h"

namespace backendctx::patterns {
namespace {

using Strings = std::vector<std::string>;
using Axes = std::array<int, 4>;

Axes AxesOf(const Operand& operand) {
  return {operand.axis[0], operand.axis[1], operand.axis[2], operand.axis[3]};
}

std::string TextOf(const std::vector<Extent>& extents) {
  std::string text;
  for (const Extent& e : extents) {
    text += (text.empty() ? "" : " ") + (e.symbol.empty() ? std::to_string(e.constant) : e.symbol);
  }
  return text;
}

std::string DimsOf(const Attention& found, const std::string& input) {
  for (const InputShape& shape : found.input_shapes) {
    if (shape.value == input) return TextOf(shape.dims);
  }
  return "no such input";
}

std::string ValuesOf(const Attention& found, const std::string& input) {
  for (const InputShape& shape : found.input_shapes) {
    if (shape.value == input && shape.has_values) return TextOf(shape.values);
  }
  return "no such input";
}

Strings Sorted(Strings names) {
  std::sort(names.begin(), names.end());
  return names;
}

void CheckProjections(const Attention& found) {
  CHECK(found.q.value == "q_heads");
  CHECK(found.k.value == "k_heads");
  CHECK(found.v.value == "v_heads");
  CHECK(found.y.value == "y");
  for (const Operand* operand : {&found.q, &found.k, &found.v, &found.y}) {
    CHECK(AxesOf(*operand) == Axes{0, 2, 1, 3});
  }
  CHECK(found.outputs == Strings{"y"});
  CHECK(found.q_heads == 2);
  CHECK(found.kv_heads == 2);
  CHECK(found.qk_head_size == 32);
  CHECK(found.v_head_size == 32);
  CHECK(DimsOf(found, "q_heads") == "B Sq 2 32");
  CHECK(DimsOf(found, "k_heads") == "B Sq 2 32");
}

TEST_CASE("old BERT attention is found in front of its Transposes", "[patterns]") {
  const Attention found = FindOne(kOldBert);
  CheckProjections(found);
  CHECK(found.form == "decomposed");
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  CHECK_FALSE(found.zero_masked_rows);
  REQUIRE(found.masks.size() == 1);
  CHECK(found.masks[0].value == "mask");
  CHECK(found.masks[0].kind == Mask::Kind::kAdd);
  CHECK(DimsOf(found, "mask") == "B 1 1 Sq");
  CHECK(found.constants == Strings{"root"});
  CHECK(Ops(kOldBert, found) == Strings{"Transpose", "Transpose", "Transpose", "MatMul", "Div",
                                        "Add", "Softmax", "MatMul", "Transpose"});
}

TEST_CASE("legacy attention is found with the scale that it computes from a shape", "[patterns]") {
  const Attention found = FindOne(kLegacy);
  CheckProjections(found);
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  CHECK(found.masks[0].value == "mask");
  CHECK(Sorted(found.inputs) == Strings{"k_heads", "mask", "q_heads", "v_heads"});
  CHECK(Sorted(found.constants) == Strings{"from", "to", "unit"});
  const Strings ops = Ops(kLegacy, found);
  CHECK(std::count(ops.begin(), ops.end(), "Constant") == 0);
  CHECK(std::count(ops.begin(), ops.end(), "Shape") == 1);
  CHECK(std::count(ops.begin(), ops.end(), "Sqrt") == 3);
}

TEST_CASE("a scale that several layers share stays outside with its value", "[patterns]") {
  const std::string text = Edit(kLegacy, "out = Reshape (y, merge)",
                                "out = Reshape (y, merge)  other = Identity (scale)");
  const Attention found = FindOne(Edit(Edit(text, "=> (float[batch, seq, 64] out)",
                                            "=> (float[batch, seq, 64] out, float[1] other)"),
                                       "q_shape = Shape (q_t)", "q_shape = Shape (q_heads)"));
  CheckProjections(found);
  CHECK(Sorted(found.inputs) ==
        Strings{"k_heads", "k_scale", "mask", "q_heads", "q_scale", "v_heads"});
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  for (const InputShape& shape : found.input_shapes) {
    const bool is_scale = shape.value == "q_scale" || shape.value == "k_scale";
    REQUIRE(shape.floats.size() == (is_scale ? 1 : 0));
    if (is_scale) CHECK(shape.floats[0] == Approx(0.42044821).epsilon(1e-6));
  }
}

TEST_CASE("K transposed through rank 3 is read in place", "[patterns]") {
  const Attention found = FindOne(kDynamo);
  CheckProjections(found);
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  CHECK(found.zero_masked_rows);
  CHECK(Sorted(found.inputs) == Strings{"k_heads", "mask", "q_heads", "v_heads"});
  CHECK(DimsOf(found, "mask") == "B 1 Sq Sq");
  const Strings ops = Ops(kDynamo, found);
  CHECK(std::count(ops.begin(), ops.end(), "Reshape") == 2);
  CHECK(std::count(ops.begin(), ops.end(), "Slice") == 3);
  CHECK(std::count(ops.begin(), ops.end(), "IsNaN") == 1);
}

TEST_CASE("K and V repeated for groups of heads are read as they are cached", "[patterns]") {
  const Attention found = FindOne(kGrouped);
  CHECK(found.q.value == "q_heads");
  CHECK(found.k.value == "present_k");
  CHECK(found.v.value == "present_v");
  CHECK(AxesOf(found.k) == Axes{0, 1, 2, 3});
  CHECK(found.q_heads == 8);
  CHECK(found.kv_heads == 2);
  CHECK(DimsOf(found, "q_heads") == "B Sq 8 32");
  CHECK(DimsOf(found, "present_k") == "B 2 Sk 32");
  CHECK(DimsOf(found, "present_v") == "B 2 Sk 32");
  CHECK(DimsOf(found, "mask") == "B 1 Sq Sk");
}

TEST_CASE("heads in the batch of rank 3 products are told apart", "[patterns]") {
  const Attention found = FindOne(kJoined);
  CHECK(found.q.value == "q_heads");
  CHECK(found.k.value == "k_heads");
  CHECK(found.y.value == "y");
  CHECK(AxesOf(found.k) == Axes{0, 2, 1, 3});
  CHECK(found.q_heads == 2);
  REQUIRE(found.masks.size() == 1);
  CHECK(found.masks[0].kind == Mask::Kind::kDrop);
  CHECK(found.masks[0].fill == -std::numeric_limits<float>::infinity());
}

TEST_CASE("attention written out around Einsum is found, with its causality", "[patterns]") {
  const Attention found = FindOne(kWrittenOut);
  CHECK(found.q.value == "q");
  CHECK(AxesOf(found.q) == Axes{0, 2, 1, 3});
  CHECK(found.k.value == "k");
  CHECK(found.kv_heads == 2);
  CHECK(found.causal);
  CHECK(found.masks.empty());
  CHECK(found.inputs == Strings{"k", "v", "q"});
}

TEST_CASE("weights whose shape is read are followed", "[patterns]") {
  const Attention found = FindOne(
      Edit(kJoined, "y_flat = MatMul (p, v_flat)",
           "p_shape = Shape (p) p_same = Reshape (p, p_shape) y_flat = MatMul (p_same, v_flat)"));
  CHECK(found.q.value == "q_heads");
  CHECK(found.y.value == "y");
}

TEST_CASE("a causal mask that others read stays an input", "[patterns]") {
  const Attention found = FindOne(Edit(kWrittenOut, "=> (float[batch, seq, 4, 32] y)",
                                       "=> (float[batch, seq, 4, 32] y, float[seq, keys] mask)"));
  CHECK_FALSE(found.causal);
  REQUIRE(found.masks.size() == 1);
  CHECK(found.masks[0].value == "mask");
}

TEST_CASE("nodes without inputs that capture do no harm", "[patterns][hostile]") {
  onnx::ModelProto proto = ParseModel(kJoined);
  for (onnx::NodeProto& node : *proto.mutable_graph()->mutable_node()) {
    for (const char* made : {"s3", "y_t", "q_t", "scaled", "p"}) {
      if (node.output(0) != made) continue;
      onnx::ModelProto one = proto;
      for (onnx::NodeProto& copy : *one.mutable_graph()->mutable_node()) {
        if (copy.output(0) != made) continue;
        onnx::AttributeProto* body = copy.add_attribute();
        body->set_name("body");
        body->set_type(onnx::AttributeProto::GRAPH);
        onnx::NodeProto* inside = body->mutable_g()->add_node();
        inside->set_op_type("Identity");
        inside->add_input(copy.input(0));
        inside->add_output("inside");
        copy.clear_input();
      }
      const auto view = model::BuildView(one);
      if (view) CHECK(FindAttention(*view, view->graph).found.empty());
    }
  }
}

TEST_CASE("groups whose heads alternate are read after they were repeated", "[patterns]") {
  // (B, 2, S, D) -> (B, 4, 2, S, D): query head h has kv head h mod 2, which no kernel reads in
  // place.
  std::string text =
      Edit(kGrouped, "k_five = Unsqueeze (present_k, two)", "k_five = Unsqueeze (present_k, i1)");
  text = Edit(text, "v_five = Unsqueeze (present_v, two)", "v_five = Unsqueeze (present_v, i1)");
  text = Edit(text, "(batch_size, two, n4, keys, n32)", "(batch_size, n4, two, keys, n32)");
  const Attention found = FindOne(text);
  CHECK(found.kv_heads == 8);
  CHECK(found.k.value == "k_all");
  CHECK(found.v.value == "v_all");
}

TEST_CASE("a 4-D Attention node takes the Transposes around it in", "[patterns]") {
  const Attention found = FindOne(kOperator4);
  CheckProjections(found);
  CHECK(found.form == "Attention-23");
  CHECK(found.scale == 0.25f);
  CHECK(found.softcap == 20.0f);
  CHECK(found.zero_masked_rows);
  CHECK_FALSE(found.causal);
  REQUIRE(found.masks.size() == 1);
  CHECK(found.masks[0].kind == Mask::Kind::kKeep);
}

TEST_CASE("a 3-D Attention node is read packed, with groups and causality", "[patterns]") {
  const Attention found = FindOne(kOperator3);
  CHECK(found.form == "Attention-24");
  for (const Operand* operand : {&found.q, &found.k, &found.v, &found.y}) {
    CHECK(AxesOf(*operand) == Axes{0, 2, 1, 2});
  }
  CHECK(found.q_heads == 8);
  CHECK(found.kv_heads == 2);
  CHECK(found.qk_head_size == 32);
  CHECK(found.v_head_size == 64);
  CHECK(found.causal);
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  CHECK(DimsOf(found, "q") == "B Sq 256");
  CHECK(DimsOf(found, "k") == "B Sk 64");
  CHECK(DimsOf(found, "bias") == "Sq Sk");
  CHECK(found.masks[0].kind == Mask::Kind::kAdd);
}

TEST_CASE("the softcap is read wherever its numbers stand", "[patterns]") {
  std::string text = Edit(kOldBert, "masked = Add (scaled, mask)",
                          "over = Div (scaled, cap) bent = Tanh (over) capped = Mul (cap, bent)"
                          " masked = Add (mask, capped)");
  text = Edit(text, "float one = {1.0}", "float one = {1.0}, float cap = {50.0}");
  const Attention found = FindOne(text);
  CHECK(found.softcap == 50.0f);
  CHECK(found.scale == Approx(0.17677669).epsilon(1e-6));
  // 25 * tanh(s / 50) is a cap of 25 on half the scores.
  const Attention half =
      FindOne(Edit(Edit(text, "Mul (cap, bent)", "Mul (bent, low_cap)"), "float cap = {50.0}",
                   "float cap = {50.0}, float low_cap = {25.0}"));
  CHECK(half.softcap == 25.0f);
  CHECK(half.scale == Approx(0.17677669 / 2).epsilon(1e-6));
}

TEST_CASE("two masks and a bool mask inside are taken", "[patterns]") {
  std::string text = Edit(kOldBert, "masked = Add (scaled, mask)",
                          "biased = Add (bias, scaled) masked = Where (keep, biased, minus)");
  text = Edit(text, "int64[batch, seq] attention_mask)",
              "int64[batch, seq] attention_mask, float[1, 2, seq, seq] bias, bool[seq, seq] keep)");
  text = Edit(text, "float one = {1.0}", "float one = {1.0}, float minus = {-inf}");
  const Attention found = FindOne(text);
  REQUIRE(found.masks.size() == 2);
  CHECK(found.masks[0].value == "bias");
  CHECK(found.masks[0].kind == Mask::Kind::kAdd);
  CHECK(found.masks[1].value == "keep");
  CHECK(found.masks[1].kind == Mask::Kind::kKeep);
  CHECK(DimsOf(found, "bias") == "1 2 Sq Sq");
}

TEST_CASE("of two products that are added the one that fits is the scores", "[patterns]") {
  for (const char* sum : {"Add (scaled, bias)", "Add (bias, scaled)"}) {
    std::string text = Edit(kOldBert, "Add (scaled, mask)", sum);
    text = Edit(text, "  s = MatMul (q_t, k_t)",
                "  s = MatMul (q_t, k_t)  bias = MatMul (left, right)");
    text = Edit(text, "int64[batch, seq] attention_mask)",
                "int64[batch, seq] attention_mask, float[seq, 5] left, float[5, seq] right)");
    const Attention found = FindOne(text);
    CHECK(found.q.value == "q_heads");
    REQUIRE(found.masks.size() == 1);
    CHECK(found.masks[0].value == "bias");
  }
}

TEST_CASE("no-op nodes in every place are passed", "[patterns]") {
  std::string text = Edit(kOldBert, "p = Softmax <axis = -1> (masked)",
                          "m1 = Identity (masked) p0 = Softmax <axis = 3> (m1)"
                          " p1 = Cast <to = 1> (p0) p = Dropout (p1)");
  text = Edit(text, "s = MatMul (q_t, k_t)", "q_c = Cast <to = 1> (q_t) s = MatMul (q_c, k_t)");
  CheckProjections(FindOne(text));
}

TEST_CASE("attention without a batch of heads is read with one head", "[patterns]") {
  const Attention found = FindOne(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n, lq, 16] q, float[n, lk, 16] k, float[n, lk, 8] v) => (float[n, lq, 8] y)
    <float root = {0.25}>
    {
      kt = Transpose <perm = [0, 2, 1]> (k)
      s = MatMul (q, kt)
      t = Mul (root, s)
      p = Softmax <axis = -1> (t)
      y = MatMul (p, v)
    })");
  CHECK(found.q_heads == 1);
  CHECK(AxesOf(found.k) == Axes{0, 2, 1, 2});
  CHECK(found.k.value == "k");
  CHECK(found.v_head_size == 8);
}

TEST_CASE("attention inside a branch captures its operands", "[patterns]") {
  const model::ModelView view = ViewOf(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (bool c, float[b, 4, s, 16] q, float[b, s, 4, 16] k, float[b, 4, s, 16] v)
      => (float[b, 4, s, 16] y)
    <float root = {0.25}>
    {
      kt = Transpose <perm = [0, 2, 3, 1]> (k)
      y = If (c) <
        then_branch = yes () => (float[b, 4, s, 16] y1) {
          m = MatMul (q, kt) t = Mul (m, root) p = Softmax <axis = -1> (t) y1 = MatMul (p, v)
        },
        else_branch = no () => (float[b, 4, s, 16] y2) { y2 = Identity (q) }
      >
    })");
  const auto graphs = AllGraphs(view);
  CHECK(FindAttention(view, *graphs[0]).found.empty());
  const AttentionReport report = FindAttention(view, *graphs[1]);
  REQUIRE(report.found.size() == 1);
  CHECK(report.not_taken.empty());
  const Attention& found = report.found[0];
  CHECK(found.k.value == "kt");  // the Transpose is in the outer graph
  CHECK(AxesOf(found.k) == Axes{0, 1, 3, 2});
  CHECK(found.inputs == Strings{"q", "kt", "v"});
  CHECK(found.constants == Strings{"root"});
}

TEST_CASE("a value that is needed elsewhere moves the boundary nearer", "[patterns]") {
  const std::string text =
      Edit(Edit(kOldBert, "=> (float[batch, seq, 64] out)",
                "=> (float[batch, seq, 64] out, float[batch, 2, 32, seq] k_t)"),
           "m_four = Unsqueeze", "m_four  = Unsqueeze");
  const Attention found = FindOne(text);
  CHECK(found.k.value == "k_t");
  CHECK(AxesOf(found.k) == Axes{0, 1, 3, 2});
  CHECK(found.q.value == "q_heads");
  CHECK(DimsOf(found, "k_t") == "B 2 32 Sq");
}

TEST_CASE("a shape that is needed elsewhere moves the boundary nearer", "[patterns]") {
  std::string text = Edit(kDynamo, "out = Reshape (y, merge)",
                          "out = Reshape (y, merge)  other = Identity (k_mid)");
  text = Edit(text, "=> (float[batch, seq, 64] out)",
              "=> (float[batch, seq, 64] out, int64[1] other)");
  const Attention found = FindOne(text);
  CHECK(found.k.value == "k_t");
  CHECK(AxesOf(found.k) == Axes{0, 1, 2, 3});
  CHECK(found.q.value == "q_heads");
  // The shapes of the detour stay outside, with their values.
  CHECK(Sorted(found.inputs) ==
        Strings{"flat_shape", "full_shape", "k_t", "mask", "q_heads", "v_heads"});
  CHECK(ValuesOf(found, "flat_shape") == "-1 Sq 32");
  CHECK(ValuesOf(found, "full_shape") == "B 2 32 Sq");
}

TEST_CASE("nodes out of order are found as well", "[patterns]") {
  onnx::ModelProto proto = ParseModel(kOldBert);
  auto* nodes = proto.mutable_graph()->mutable_node();
  std::reverse(nodes->begin(), nodes->end());
  const model::ModelView view = ViewOf(proto);
  const AttentionReport report = FindAttention(view, view.graph);
  REQUIRE(report.found.size() == 1);
  CheckProjections(report.found[0]);
}

TEST_CASE("operators that nobody knows around attention do not hide it", "[patterns]") {
  const std::string text = Edit(
      Edit(kOldBert, "q_heads = Reshape (q, split)",
           "q_odd = SimplifiedLayerNormalization (q) q_heads = Reshape (q_odd, split)"),
      "v_heads = Reshape (v, split)", "v_odd = odd.Thing (v) v_heads = Reshape (v_odd, split)");
  const AttentionReport report = Find(Edit(text, "[\"\" : 17]", "[\"\" : 17, \"odd\" : 1]"));
  // The type of v_odd is not known, so nothing is proved about V.
  CHECK(report.found.empty());
  REQUIRE(report.not_taken.size() == 1);
  const AttentionReport known =
      Find(Edit(Edit(kOldBert, "q_heads = Reshape (q, split)",
                     "q_odd = SimplifiedLayerNormalization (q) q_heads = Reshape (q_odd, split)"),
                "m_four = Unsqueeze", "m_four  = Unsqueeze"));
  CHECK(known.found.size() == 1);
}

}  // namespace
}  // namespace backendctx::patterns
