// Each case changes one thing of a form that is taken.
#include <catch2/catch.hpp>

#include "patterns/forms.h"

namespace backendctx::patterns {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("a Softmax over another axis is not attention", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "axis = -1", "axis = 2")), Contains("over axis 2"));
  CHECK_THAT(WhyNot(Edit(kOldBert, "axis = -1", "axis = 1")), Contains("over axis 1"));
}

TEST_CASE("before opset 13 only a Softmax that starts at the last axis is taken", "[patterns]") {
  // The same in opset 11: Unsqueeze has its axes as an attribute, Softmax flattens.
  std::string old = Edit(kOldBert, "\"\" : 17", "\"\" : 11");
  old =
      Edit(old, "Unsqueeze (attention_mask, middle)", "Unsqueeze <axes = [1, 2]> (attention_mask)");
  CHECK(Find(Edit(old, "axis = -1", "axis = 3")).found.size() == 1);
  CHECK_THAT(WhyNot(Edit(old, "<axis = -1>", "")), Contains("over axis 1"));
  CHECK_THAT(WhyNot(Edit(old, "axis = -1", "axis = 2")), Contains("over axis 2"));
}

TEST_CASE("a transposed V is not attention", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "v_t = Transpose <perm = [0, 2, 1, 3]>",
                         "v_t = Transpose <perm = [0, 2, 3, 1]>")),
             Contains("keys"));
}

TEST_CASE("a scale that is no constant number is not taken", "[patterns]") {
  const std::string text = Edit(kOldBert, "int64[batch, seq] attention_mask)",
                                "int64[batch, seq] attention_mask, float t)");
  CHECK_THAT(WhyNot(Edit(text, "Div (s, root)", "Div (s, t)")), Contains("constant"));
  CHECK_THAT(WhyNot(Edit(text, "Div (s, root)", "Div (root, s)")), Contains("constant"));
}

TEST_CASE("a mask that multiplies is not taken", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "Add (scaled, mask)", "Mul (scaled, mask)")),
             Contains("Mul of the scores"));
}

TEST_CASE("a mask added before the scale or the softcap is not taken", "[patterns]") {
  const std::string swapped =
      Edit(kOldBert, "scaled = Div (s, root)\n  masked = Add (scaled, mask)",
           "added = Add (s, mask) masked = Div (added, root)");
  CHECK_THAT(WhyNot(swapped), Contains("before the scores are scaled"));
  CHECK_THAT(WhyNot(Edit(kOldBert, "p = Softmax <axis = -1> (masked)",
                         "bent = Tanh (masked) p = Softmax <axis = -1> (bent)")),
             Contains("before the softcap"));
}

TEST_CASE("scores replaced by a number that is not negative, or by many, are not taken",
          "[patterns]") {
  const std::string text =
      Edit(Edit(kOldBert, "int64[batch, seq] attention_mask)",
                "int64[batch, seq] attention_mask, bool[seq, seq] keep)"),
           "masked = Add (scaled, mask)", "masked = Where (keep, scaled, lowest)");
  CHECK(Find(text).found.size() == 1);
  CHECK_THAT(WhyNot(Edit(text, "Where (keep, scaled, lowest)", "Where (keep, scaled, one)")),
             Contains("not negative"));
  CHECK_THAT(WhyNot(Edit(text, "Where (keep, scaled, lowest)", "Where (keep, scaled, mask)")),
             Contains("not one constant number"));
}

TEST_CASE("a mask that could enlarge the scores is not taken", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "int64[batch, seq] attention_mask",
                         "int64[batch, other] attention_mask")),
             Contains("not proved to be 1 or seq"));
  CHECK_THAT(WhyNot(Edit(kOldBert, "int64[batch, seq] attention_mask",
                         "int64[others, seq] attention_mask")),
             Contains("not proved to be 1 or batch"));
}

TEST_CASE("batches, heads and lengths that need not agree are not taken", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "float[batch, seq, 64] k", "float[others, seq, 64] k")),
             Contains("batch"));
  CHECK_THAT(WhyNot(Edit(kOldBert, "float[batch, seq, 64] v", "float[batch, other, 64] v")),
             Contains("keys"));
  // V split into 4 heads of 16.
  const std::string heads =
      Edit(Edit(kOldBert, "v_heads = Reshape (v, split)", "v_heads = Reshape (v, split4)"),
           "float one = {1.0}", "float one = {1.0}, int64[4] split4 = {0, 0, 4, 16}");
  CHECK_THAT(WhyNot(heads), Contains("heads"));
}

TEST_CASE("a Reshape that swaps sequence and batch is seen", "[patterns]") {
  // V comes in as (seq, batch): its batch is the others' sequence.
  const std::string text = Edit(kOldBert, "v_heads = Reshape (v, split)",
                                "v_swapped = Transpose <perm = [1, 0, 2]> (v)"
                                " v_heads = Reshape (v_swapped, split)");
  CHECK_THAT(WhyNot(text), Contains("not proved to be equal"));
}

TEST_CASE("a detour of K that is no transposition is not followed", "[patterns]") {
  // Without the Transpose the Reshapes only reinterpret (keys, channels) as (channels, keys).
  const std::string text = Edit(Edit(kDynamo, "k_flat_t = Transpose <perm = [0, 2, 1]> (k_flat)",
                                     "k_flat_t = Identity (k_flat)"),
                                "k_heads = Reshape (k, split)", "k_heads  = Reshape (k, split)");
  const AttentionReport report = Find(text);
  // Attention over the reinterpreted K is attention, but K must not be read from before that.
  REQUIRE(report.found.size() == 1);
  CHECK(report.found[0].k.value != "k_heads");
  CHECK(report.found[0].k.value != "k_t");
  CHECK(report.found[0].k.value != "k_flat");
}

TEST_CASE("probabilities that are needed elsewhere are not taken", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "=> (float[batch, seq, 64] out)",
                         "=> (float[batch, seq, 64] out, float[batch, 2, seq, seq] p)")),
             Contains("output of the graph"));
  CHECK_THAT(WhyNot(Edit(Edit(kOldBert, "out = Reshape (y, merge)",
                              "out = Reshape (y, merge) more = Relu (p)"),
                         "=> (float[batch, seq, 64] out)",
                         "=> (float[batch, seq, 64] out, float[batch, 2, seq, seq] more)")),
             Contains("read by 2 nodes"));
}

TEST_CASE("scores that are needed elsewhere are not taken", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOldBert, "=> (float[batch, seq, 64] out)",
                         "=> (float[batch, seq, 64] out, float[batch, 2, seq, seq] scaled)")),
             Contains("scaled, made inside attention, is an output of the graph"));
  CHECK_THAT(
      WhyNot(Edit(
          Edit(kOldBert, "out = Reshape (y, merge)", "out = Reshape (y, merge) more = Shape (s)"),
          "=> (float[batch, seq, 64] out)", "=> (float[batch, seq, 64] out, int64[4] more)")),
      Contains("made inside attention"));
}

TEST_CASE("the probabilities on the right of the product are not attention", "[patterns]") {
  const std::string text = Edit(kOldBert, "MatMul (p, v_t)", "MatMul (v_x, p)");
  CHECK_THAT(WhyNot(Edit(text, "v_t = Transpose <perm = [0, 2, 1, 3]>",
                         "v_x = Transpose <perm = [0, 2, 3, 1]>")),
             Contains("does not sum over"));
}

TEST_CASE("randomness between Softmax and product is not taken", "[patterns]") {
  const std::string dropout =
      Edit(Edit(kOldBert, "y_t = MatMul (p, v_t)",
                "p2 = Dropout (p, ratio, yes) y_t = MatMul (p2, v_t)"),
           "float one = {1.0}", "float one = {1.0}, float ratio = {0.1}, bool yes = {1}");
  CHECK_THAT(WhyNot(dropout), Contains("Dropout"));
  CHECK(Find(Edit(dropout, "bool yes = {1}", "bool yes = {0}")).found.size() == 1);
  CHECK_FALSE(
      WhyNot(Edit(kOldBert, "y_t = MatMul (p, v_t)",
                  "noise = RandomUniformLike (p) p2 = Mul (p, noise) y_t = MatMul (p2, v_t)"))
          .empty());
}

TEST_CASE("half and double precision are not taken", "[patterns]") {
  const std::string half = R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (TYPE[b, 4, s, 16] q, TYPE[b, 4, 16, s] k, TYPE[b, 4, s, 16] v) => (TYPE[b, 4, s, 16] y)
    { m = MatMul (q, k) p = Softmax <axis = -1> (m) y = MatMul (p, v) })";
  for (const char* type : {"float16", "double", "bfloat16"}) {
    std::string text = half;
    for (size_t at; (at = text.find("TYPE")) != std::string::npos;) text.replace(at, 4, type);
    CHECK_THAT(WhyNot(text), Contains("not a float tensor"));
  }
  std::string text = half;
  for (size_t at; (at = text.find("TYPE")) != std::string::npos;) text.replace(at, 4, "float");
  CHECK(Find(text).found.size() == 1);
}

TEST_CASE("a head size that is known at run time only is not taken", "[patterns]") {
  CHECK_THAT(WhyNot(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[b, 4, s, d] q, float[b, 4, d, s] k, float[b, 4, s, 16] v) => (float[b, 4, s, 16] y)
    { m = MatMul (q, k) p = Softmax <axis = -1> (m) y = MatMul (p, v) })"),
             Contains("head size is d"));
}

TEST_CASE("a guard that replaces NaN by something else is not taken", "[patterns]") {
  CHECK_FALSE(WhyNot(Edit(kDynamo, "Where (p_nan, zero, p)", "Where (p_nan, root, p)")).empty());
  CHECK_FALSE(WhyNot(Edit(kDynamo, "Where (p_nan, zero, p)", "Where (p_nan, p, zero)")).empty());
}

TEST_CASE("a function of the model's own that is called Softmax is no Softmax", "[patterns]") {
  onnx::ModelProto proto = ParseModel(kOldBert);
  const onnx::ModelProto with = ParseModel(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n] x) => (float[n] y) { y = Relu (x) }
    <domain: "", opset_import: ["" : 17]>
    Softmax <axis> (x) => (y) { y = Relu (x) })");
  *proto.mutable_functions() = with.functions();
  const model::ModelView view = ViewOf(proto);
  CHECK(FindAttention(view, view.graph).found.empty());
}

TEST_CASE("attention inside a function of the model's own is named", "[patterns]") {
  const model::ModelView view = ViewOf(R"(
    <ir_version: 10, opset_import: ["" : 18, "own" : 1]>
    g (float[b, 4, s, 16] q, float[b, 4, 16, s] k, float[b, 4, s, 16] v)
      => (float[b, 4, s, 16] y)
    { y = own.Outer (q, k, v) }
    <domain: "own", opset_import: ["" : 18]>
    FlexAttention (q, k, v) => (y)
    { m = MatMul (q, k) p = Softmax (m) y = MatMul (p, v) }
    <domain: "own", opset_import: ["" : 18, "own" : 1]>
    Outer (q, k, v) => (y)
    { y = own.FlexAttention (q, k, v) }
    <domain: "own", opset_import: ["" : 18]>
    NobodyCalls (q, k, v) => (y)
    { m = MatMul (q, k) p = Softmax (m) y = MatMul (p, v) }
    <domain: "own", opset_import: ["" : 18]>
    Classify (x, w) => (y)
    { m = MatMul (x, w) y = Softmax (m) })");
  const AttentionReport report = FindAttention(view, view.graph);
  CHECK(report.found.empty());
  CHECK(report.not_taken.empty());  // a call is not looked at by its name
  const std::vector<NotTaken> inside = LookIntoFunctions(view);
  REQUIRE(inside.size() == 1);
  CHECK(inside[0].node == "p");
  CHECK(inside[0].op == "Softmax");
  CHECK_THAT(inside[0].reason, Contains("own::FlexAttention"));
}

TEST_CASE("what an Attention node can do beyond this edition is named", "[patterns]") {
  const std::string four = R"(
    <ir_version: 10, opset_import: ["" : 24]>
    g (float[b, 4, s, 16] q, float[b, 4, t, 16] k, float[b, 4, t, 16] v, float[b, 4, p, 16] pk,
       float[b, 4, p, 16] pv, int64[b] pad) => (float[b, 4, s, 16] y)
    { y = Attention (q, k, v) })";
  CHECK(Find(four).found.size() == 1);
  CHECK_THAT(WhyNot(Edit(four, "(q, k, v)", "(q, k, v, , pk, pv)")), Contains("past"));
  CHECK_THAT(WhyNot(Edit(four, "(q, k, v)", "(q, k, v, , , , pad)")), Contains("nonpad_kv_seqlen"));
  CHECK_THAT(WhyNot(Edit(four, "{ y = Attention", "{ y, , , m = Attention")),
             Contains("qk_matmul_output"));
  CHECK_THAT(WhyNot(Edit(four, "Attention (", "Attention <softmax_precision = 11> (")),
             Contains("softmax_precision"));
  CHECK_THAT(WhyNot(Edit(four, "Attention (", "Attention <left_window_size = 4> (")),
             Contains("left_window_size"));
  CHECK_THAT(WhyNot(Edit(four, "float[b, 4, t, 16] v", "float[b, 4, u, 16] v")), Contains("keys"));
  CHECK_THAT(WhyNot(Edit(four, "float[b, 4, s, 16] q", "float[b, 6, s, 16] q")), Contains("heads"));
}

TEST_CASE("since opset 24 a mask of an Attention node must be proved to be as long as the keys",
          "[patterns]") {
  // A shorter one is padded with closed keys there, and one key is no exception.
  const std::string text = R"(
    <ir_version: 10, opset_import: ["" : 24]>
    agraph (float[b, 2, s, 64] q, float[b, 2, t, 64] k, float[b, 2, t, 64] v, float[s, t] m)
        => (float[b, 2, s, 64] y)
    { y = Attention (q, k, v, m) }
  )";
  CHECK(Find(text).found.size() == 1);
  for (const char* mask : {"float[s, 1] m", "float[s, u] m", "float[1] m"}) {
    const std::string edited = Edit(text, "float[s, t] m", mask);
    CHECK_THAT(WhyNot(edited), Contains("may be short"));
  }
  CHECK(Find(Edit(Edit(text, "float[s, t] m", "float[s, 1] m"), "\"\" : 24", "\"\" : 23"))
            .found.size() == 1);
}

TEST_CASE("3-D Attention needs heads that divide", "[patterns]") {
  CHECK_THAT(WhyNot(Edit(kOperator3, "kv_num_heads = 2", "kv_num_heads = 3")),
             Contains("not proved to have 3 heads"));
  CHECK_THAT(WhyNot(Edit(kOperator3, "q_num_heads = 8", "q_num_heads = 0")), Contains("heads"));
}

TEST_CASE("a Softmax that is no attention is not even a candidate", "[patterns]") {
  const AttentionReport report = Find(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[n, 16] x, float[16, 10] w) => (float[n, 10] y)
    { m = MatMul (x, w) y = Softmax <axis = -1> (m) })");
  CHECK(report.found.empty());
  CHECK(report.not_taken.empty());
}

TEST_CASE("cycles and dangling names are no attention and do no harm", "[patterns][hostile]") {
  onnx::ModelProto proto = ParseModel(kOldBert);
  for (onnx::NodeProto& node : *proto.mutable_graph()->mutable_node()) {
    if (node.output(0) == "scaled") node.set_input(0, "masked");
  }
  model::ModelView view = ViewOf(proto);
  CHECK(FindAttention(view, view.graph).found.empty());
  for (onnx::NodeProto& node : *proto.mutable_graph()->mutable_node()) {
    if (node.output(0) == "scaled") node.set_input(0, "nowhere");
  }
  view = ViewOf(proto);
  CHECK(FindAttention(view, view.graph).found.empty());
}

}  // namespace
}  // namespace backendctx::patterns
