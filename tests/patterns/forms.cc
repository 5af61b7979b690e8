#include "patterns/forms.h"

namespace backendctx::patterns {

const char kOldBert[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
old_bert (float[batch, seq, 64] q, float[batch, seq, 64] k, float[batch, seq, 64] v,
          int64[batch, seq] attention_mask) => (float[batch, seq, 64] out)
<int64[4] split = {0, 0, 2, 32}, int64[3] merge = {0, 0, 64}, int64[2] middle = {1, 2},
 float one = {1.0}, float lowest = {-3.4028234663852886e38}, float root = {5.656854}>
{
  m_four = Unsqueeze (attention_mask, middle)
  m_float = Cast <to = 1> (m_four)
  m_away = Sub (one, m_float)
  mask = Mul (m_away, lowest)
  q_heads = Reshape (q, split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 3, 1]> (k_heads)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  s = MatMul (q_t, k_t)
  scaled = Div (s, root)
  masked = Add (scaled, mask)
  p = Softmax <axis = -1> (masked)
  y_t = MatMul (p, v_t)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
  out = Reshape (y, merge)
}
)";

const char kLegacy[] = R"(
<ir_version: 8, opset_import: ["" : 18]>
legacy (float[batch, seq, 64] q, float[batch, seq, 64] k, float[batch, seq, 64] v,
        bool[batch, 1, seq, seq] keep) => (float[batch, seq, 64] out)
{
  split = Constant <value = int64[4] {0, 0, 2, 32}> ()
  merge = Constant <value = int64[3] {0, 0, 64}> ()
  zero = Constant <value = float {0.0}> ()
  lowest = Constant <value = float {-inf}> ()
  mask = Where (keep, zero, lowest)
  q_heads = Reshape (q, split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 1, 3]> (k_heads)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  q_shape = Shape (q_t)
  from = Constant <value = int64[1] {-1}> ()
  to = Constant <value = int64[1] {9223372036854775807}> ()
  d = Slice (q_shape, from, to)
  d_float = Cast <to = 1> (d)
  d_root = Sqrt (d_float)
  unit = Constant <value = float[1] {1.0}> ()
  inverse = Div (unit, d_root)
  scale = Cast <to = 1> (inverse)
  k_swapped = Transpose <perm = [0, 1, 3, 2]> (k_t)
  q_scale = Sqrt (scale)
  q_scaled = Mul (q_t, q_scale)
  k_scale = Sqrt (scale)
  k_scaled = Mul (k_swapped, k_scale)
  s = MatMul (q_scaled, k_scaled)
  masked = Add (s, mask)
  p = Softmax <axis = -1> (masked)
  p_cast = Cast <to = 1> (p)
  y_t = MatMul (p_cast, v_t)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
  out = Reshape (y, merge)
}
)";

const char kDynamo[] = R"(
<ir_version: 10, opset_import: ["" : 18]>
dynamo (float[batch, seq, 64] q, float[batch, seq, 64] k, float[batch, seq, 64] v,
        bool[batch, 1, seq, seq] keep) => (float[batch, seq, 64] out)
<int64[4] split = {0, 0, 2, 32}, int64[3] merge = {0, 0, 64}, float zero = {0.0},
 float lowest = {-3.4028234663852886e38}, float root = {0.42044821}, int64[1] i0 = {0},
 int64[1] i2 = {2}, int64[1] i3 = {3}, int64[1] i4 = {4}, int64[1] rest = {-1}>
{
  mask = Where (keep, zero, lowest)
  q_heads = Reshape (q, split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 1, 3]> (k_heads)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  k_shape = Shape <start = 0> (k_t)
  k_last = Slice (k_shape, i3, i4)
  k_mid = Slice (k_shape, i2, i3)
  k_first = Slice (k_shape, i0, i2)
  flat_shape = Concat <axis = 0> (rest, k_mid, k_last)
  k_flat = Reshape <allowzero = 0> (k_t, flat_shape)
  k_flat_t = Transpose <perm = [0, 2, 1]> (k_flat)
  full_shape = Concat <axis = 0> (k_first, k_last, k_mid)
  k_swapped = Reshape <allowzero = 0> (k_flat_t, full_shape)
  q_scaled = Mul (q_t, root)
  k_scaled = Mul (k_swapped, root)
  s = MatMul (q_scaled, k_scaled)
  masked = Add (s, mask)
  p = Softmax <axis = -1> (masked)
  p_nan = IsNaN (p)
  guarded = Where (p_nan, zero, p)
  y_t = MatMul (guarded, v_t)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
  out = Reshape (y, merge)
}
)";

const char kGrouped[] = R"(
<ir_version: 10, opset_import: ["" : 18]>
grouped (float[batch, seq, 256] q, float[batch, seq, 64] k, float[batch, 2, past, 32] past_k,
         float[batch, seq, 64] v, float[batch, 2, past, 32] past_v,
         float[batch, 1, seq, past] past_mask, float[batch, 1, seq, seq] own_mask)
    => (float[batch, seq, 8, 32] y, float[batch, 2, total, 32] present_k,
        float[batch, 2, total, 32] present_v)
<int64[4] q_split = {0, 0, 8, 32}, int64[4] split = {0, 0, 2, 32}, float root = {0.42044821},
 int64[1] two = {2}, int64[1] i0 = {0}, int64[1] i1 = {1}, int64[1] i2 = {2}, int64[1] i3 = {3},
 int64[1] n4 = {4}, int64[1] n8 = {8}, int64[1] n32 = {32}, int64[1] rest = {-1}>
{
  q_heads = Reshape (q, q_split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 1, 3]> (k_heads)
  present_k = Concat <axis = -2> (past_k, k_t)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  present_v = Concat <axis = -2> (past_v, v_t)
  shape = Shape (present_k)
  batch_size = Slice (shape, i0, i1)
  keys = Slice (shape, i2, i3)
  k_five = Unsqueeze (present_k, two)
  groups = Concat <axis = 0> (batch_size, two, n4, keys, n32)
  k_repeated = Expand (k_five, groups)
  heads = Concat <axis = 0> (batch_size, n8, keys, n32)
  k_all = Reshape (k_repeated, heads)
  v_five = Unsqueeze (present_v, two)
  v_repeated = Expand (v_five, groups)
  v_all = Reshape (v_repeated, heads)
  flat_shape = Concat <axis = 0> (rest, keys, n32)
  k_flat = Reshape (k_all, flat_shape)
  k_flat_t = Transpose <perm = [0, 2, 1]> (k_flat)
  full_shape = Concat <axis = 0> (batch_size, n8, n32, keys)
  k_swapped = Reshape (k_flat_t, full_shape)
  q_scaled = Mul (q_t, root)
  k_scaled = Mul (k_swapped, root)
  s = MatMul (q_scaled, k_scaled)
  mask = Concat <axis = 3> (past_mask, own_mask)
  masked = Add (s, mask)
  p = Softmax <axis = -1> (masked)
  y_t = MatMul (p, v_all)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
}
)";

const char kOperator4[] = R"(
<ir_version: 10, opset_import: ["" : 23]>
operator4 (float[batch, seq, 64] q, float[batch, seq, 64] k, float[batch, seq, 64] v,
           bool[batch, 1, seq, seq] keep) => (float[batch, seq, 64] out)
<int64[4] split = {0, 0, 2, 32}, int64[3] merge = {0, 0, 64}>
{
  q_heads = Reshape (q, split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 1, 3]> (k_heads)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  y_t = Attention <scale = 0.25, softcap = 20.0> (q_t, k_t, v_t, keep)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
  out = Reshape (y, merge)
}
)";

const char kOperator3[] = R"(
<ir_version: 10, opset_import: ["" : 24]>
operator3 (float[batch, seq, 256] q, float[batch, keys, 64] k, float[batch, keys, 128] v,
           float[seq, keys] bias) => (float[batch, seq, 512] y)
{
  y = Attention <q_num_heads = 8, kv_num_heads = 2, is_causal = 1> (q, k, v, bias)
}
)";

const char kJoined[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
joined (float[batch, seq, 64] q, float[batch, keys, 64] k, float[batch, keys, 64] v,
        bool[batch, 1, 1, keys] drop) => (float[batch, seq, 2, 32] y)
<int64[4] split = {0, 0, 2, 32}, float scale = {0.25}, float minus = {-inf}, int64[1] i2 = {2},
 int64[1] n2 = {2}, int64[1] n32 = {32}, int64[1] rest = {-1}>
{
  q_heads = Reshape (q, split)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_heads)
  k_heads = Reshape (k, split)
  k_t = Transpose <perm = [0, 2, 1, 3]> (k_heads)
  v_heads = Reshape (v, split)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_heads)
  q_shape = Shape (q_t)
  rows = Gather (q_shape, i2)
  k_shape = Shape (k_t)
  columns = Gather (k_shape, i2)
  q_flat_shape = Concat <axis = 0> (rest, rows, n32)
  k_flat_shape = Concat <axis = 0> (rest, columns, n32)
  q_flat = Reshape (q_t, q_flat_shape)
  k_flat = Reshape (k_t, k_flat_shape)
  v_flat = Reshape (v_t, k_flat_shape)
  k_swapped = Transpose <perm = [0, 2, 1]> (k_flat)
  s = MatMul (q_flat, k_swapped)
  scaled = Mul (s, scale)
  four = Concat <axis = 0> (rest, n2, rows, columns)
  three = Concat <axis = 0> (rest, rows, columns)
  s4 = Reshape (scaled, four)
  masked = Where (drop, minus, s4)
  s3 = Reshape (masked, three)
  p = Softmax <axis = 2> (s3)
  y_flat = MatMul (p, v_flat)
  whole = Concat <axis = 0> (rest, n2, rows, n32)
  y_t = Reshape (y_flat, whole)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
}
)";

const char kWrittenOut[] = R"(
<ir_version: 8, opset_import: ["" : 17]>
written_out (float[batch, seq, 4, 32] q, float[batch, 2, keys, 32] k, float[batch, 2, keys, 32] v)
    => (float[batch, seq, 4, 32] y)
<float scale = {0.25}, float minus = {-inf}, float zero = {0.0}, bool one = {1}, int64[1] i0 = {0},
 int64[1] i1 = {1}, int64[1] i2 = {2}, int64[1] n4 = {4}, int64[1] n32 = {32}, int64[1] last = {-1},
 int64[5] times = {1, 1, 2, 1, 1}>
{
  k_shape = Shape (k)
  batch_size = Gather (k_shape, i0)
  columns = Gather (k_shape, i2)
  whole = Concat <axis = 0> (batch_size, n4, columns, n32)
  k_five = Unsqueeze (k, i2)
  k_tiled = Tile (k_five, times)
  k_all = Reshape (k_tiled, whole)
  v_five = Unsqueeze (v, i2)
  v_tiled = Tile (v_five, times)
  v_all = Reshape (v_tiled, whole)
  q_shape = Shape (q)
  rows = Gather (q_shape, i1)
  square = Concat <axis = 0> (rows, columns)
  ones = Expand (one, square)
  past = Trilu <upper = 0> (ones)
  mask = Where (past, zero, minus)
  product = Einsum <equation = "bqhd,bhkd->bhqk"> (q, k_all)
  scaled = Mul (product, scale)
  s = Add (scaled, mask)
  most = ReduceMax <axes = [-1], keepdims = 1> (s)
  less = Sub (s, most)
  e = Exp (less)
  sum = ReduceSum (e, last)
  p = Div (e, sum)
  y = Einsum <equation = "bhqk,bhkd->bqhd"> (p, v_all)
}
)";

std::string Edit(const std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  INFO("the text lacks: " << from);
  REQUIRE(at != std::string::npos);
  INFO("the text has twice: " << from);
  REQUIRE(text.find(from, at + 1) == std::string::npos);
  return text.substr(0, at) + to + text.substr(at + from.size());
}

AttentionReport Find(const std::string& text) {
  const model::ModelView view = ViewOf(text);
  return FindAttention(view, view.graph);
}

Attention FindOne(const std::string& text) {
  const AttentionReport report = Find(text);
  for (const NotTaken& other : report.not_taken) UNSCOPED_INFO(other.node << ": " << other.reason);
  REQUIRE(report.not_taken.empty());
  REQUIRE(report.found.size() == 1);
  return report.found.front();
}

std::string WhyNot(const std::string& text) {
  const AttentionReport report = Find(text);
  REQUIRE(report.found.empty());
  REQUIRE(report.not_taken.size() == 1);
  CHECK_FALSE(report.not_taken.front().node.empty());
  return report.not_taken.front().reason;
}

std::vector<std::string> Ops(const std::string& text, const Attention& found) {
  const model::ModelView view = ViewOf(text);
  std::vector<std::string> ops;
  for (const size_t node : found.nodes) ops.push_back(view.graph.nodes[node].op_type);
  return ops;
}

}  // namespace backendctx::patterns
