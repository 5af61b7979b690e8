"""Attention in the forms that exporters and people write it in, each with twins that are not attention.

A form is a model in ONNX's text form. `found` is what FindAttention must say of its only region; a twin is the
form with one thing changed, and either the words of the reason why it is left alone, or what is found instead.
"""
import dataclasses


@dataclasses.dataclass
class Form:
    name: str
    inputs: str
    body: str
    found: dict
    twins: list = dataclasses.field(default_factory=list)  # (from, to, words or dict)
    constants: str = ""
    opset: int = 17
    output: str = "y"

    def text(self):
        return (f'<ir_version: 8, opset_import: ["" : {self.opset}, "com.microsoft" : 1]>\n'
                f"form ({self.inputs}) => ({self.output})\n<{COMMON}{self.constants}>\n{{\n{self.body}\n}}")


COMMON = ("int64[4] split = {0, 0, 4, 16}, int64[3] merge = {0, 0, 64}, float scale = {0.25}, float zero = {0.0},"
          " float lowest = {-3.4028234663852886e38}, float minus = {-inf}, int64[1] i0 = {0}, int64[1] i1 = {1},"
          " int64[1] i2 = {2}, int64[1] i3 = {3}, int64[1] n4 = {4}, int64[1] n16 = {16}, int64[1] n64 = {64},"
          " int64[1] n128 = {128}, int64[1] n192 = {192}, int64[1] last = {-1}")
QKV = "float[batch, seq, 64] q, float[batch, keys, 64] k, float[batch, keys, 64] v"
HEADS = """
  q_h = Reshape (q, split)  q_t = Transpose <perm = [0, 2, 1, 3]> (q_h)
  k_h = Reshape (k, split)  k_t = Transpose <perm = [0, 2, 1, 3]> (k_h)
  v_h = Reshape (v, split)  v_t = Transpose <perm = [0, 2, 1, 3]> (v_h)
"""
SCORES = HEADS + """
  k_s = Transpose <perm = [0, 1, 3, 2]> (k_t)
  product = MatMul (q_t, k_s)
  s = Mul (product, scale)
"""
REST = """
  y_t = MatMul (p, v_t)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
"""
SOFTMAX = "\n  p = Softmax <axis = -1> (s)"
# Operands in front of their Transposes, as (batch, sequence, head, channel).
IN_FRONT = dict(q="q_h", k="k_h", v="v_h", y="y", axes=dict(q=[0, 2, 1, 3], k=[0, 2, 1, 3], v=[0, 2, 1, 3],
                                                              y=[0, 2, 1, 3]),
                q_heads=4, kv_heads=4, qk_head_size=16, v_head_size=16, scale=0.25, causal=False, masks=[])
PLAIN = {key: value for key, value in IN_FRONT.items() if key not in "qkv" and key != "axes"}


def plain(**changes):
    return PLAIN | changes


def in_front(**changes):
    return IN_FRONT | changes


INFINITY = float("inf")
LOWEST = -3.4028234663852886e38
SELF = "float[batch, seq, 64] x, float[64, 192] w"

FORMS = [
    Form("cross attention", QKV, SCORES + SOFTMAX + REST, in_front(), [
        ("axis = -1", "axis = 2", "does not sum over"),
        ("axis = -1", "axis = 1", "not over keys"),
        ("Mul (product, scale)", "Relu (product)", "Relu stands between"),
        ("Mul (product, scale)", "Mul (product, product)", "not by one constant number"),
        ("float[batch, keys, 64] v", "float[batch, other, 64] v", "keys"),
    ]),
    Form("scale on both sides, before and after", QKV, HEADS + """
  q_s = Mul (half, q_t)  k_a = Transpose <perm = [0, 1, 3, 2]> (k_t)  k_s = Div (k_a, two)
  product = MatMul (q_s, k_s)  s = Identity (product)""" + SOFTMAX + REST, in_front(),
         [("Mul (half, q_t)", "Mul (q_t, uneven)", dict(q="q_s", scale=0.5))],
         constants=", float half = {0.5}, float[1] two = {2.0}, float[16] uneven = "
                   "{1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}"),
    Form("one projection, Split", SELF, """
  qkv = MatMul (x, w)  q, k, v = Split <axis = 2> (qkv, thirds)""" + SCORES + SOFTMAX + REST, in_front(),
         [("axis = -1", "axis = -2", "does not sum over")],
         constants=", int64[3] thirds = {64, 64, 64}"),
    Form("one projection, Slices", SELF, """
  qkv = MatMul (x, w)  q = Slice (qkv, i0, n64, i2)  k = Slice (qkv, n64, n128, i2)
  v = Slice (qkv, n128, n192, i2)""" + SCORES + SOFTMAX + REST, in_front(),
         [("axis = -1", "axis = -2", "does not sum over")]),
    Form("one projection, Split by head", SELF, """
  qkv = MatMul (x, w)  heads = Reshape (qkv, by_head)
  q_h, k_h, v_h = Split <axis = 3> (heads, sixteens)
  q_t = Transpose <perm = [0, 2, 1, 3]> (q_h)  k_s = Transpose <perm = [0, 2, 3, 1]> (k_h)
  v_t = Transpose <perm = [0, 2, 1, 3]> (v_h)  product = MatMul (q_t, k_s)  s = Mul (product, scale)""" +
         SOFTMAX + REST, in_front(), [("axis = -1", "axis = 0", "not over keys")],
         constants=", int64[4] by_head = {0, 0, 4, 48}, int64[3] sixteens = {16, 16, 16}"),
    Form("one projection, Transpose and Gather", SELF, """
  qkv = MatMul (x, w)  five = Reshape (qkv, by_three)  turned = Transpose <perm = [2, 0, 3, 1, 4]> (five)
  q = Gather <axis = 0> (turned, at0)  k = Gather <axis = 0> (turned, at1)  v = Gather <axis = 0> (turned, at2)
  q_s = Mul (q, scale)  k_s = Transpose <perm = [0, 1, 3, 2]> (k)
  s = MatMul (q_s, k_s)  p = Softmax <axis = -1> (s)  y_t = MatMul (p, v)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)""", plain(q="q", k="k", v="v"),
         [("axis = -1", "axis = -2", "does not sum over")],
         constants=", int64[5] by_three = {0, 0, 3, 4, 16}, int64 at0 = {0}, int64 at1 = {1}, int64 at2 = {2}"),
    Form("batched products of rank 3 behind heads", QKV + ", bool[batch, seq, keys] keep", HEADS + """
  add = Where (keep, zero, lowest)  mask = Unsqueeze (add, i1)
  q_f = Reshape (q_t, flat_q)  k_f = Reshape (k_t, flat_k)  v_f = Reshape (v_t, flat_k)
  k_s = Transpose <perm = [0, 2, 1]> (k_f)
  product = MatMul (q_f, k_s)  scaled = Mul (product, scale)
  q_shape = Shape (q)  k_shape = Shape (k)  seq = Gather (q_shape, i1)  keys = Gather (k_shape, i1)
  full = Concat <axis = 0> (last, n4, seq, keys)  flat = Concat <axis = 0> (last, seq, keys)
  s4 = Reshape (scaled, full)  masked = Add (s4, mask)  s = Reshape (masked, flat)
  p = Softmax <axis = -1> (s)  y_f = MatMul (p, v_f)
  whole = Concat <axis = 0> (last, n4, seq, n16)  y_t = Reshape (y_f, whole)
  y = Transpose <perm = [0, 2, 1, 3]> (y_t)
  q_ts = Shape (q_t)  k_ts = Shape (k_t)  q_tq = Gather (q_ts, i2)  k_tk = Gather (k_ts, i2)
  flat_q = Concat <axis = 0> (last, q_tq, n16)  flat_k = Concat <axis = 0> (last, k_tk, n16)""",
         in_front(masks=[("mask", "add")]),
         [("Add (s4, mask)", "Mul (s4, mask)", "not by one constant number"),
          ("perm = [0, 2, 1]> (k_f)", "perm = [1, 2, 0]> (k_f)", "not known")]),
    Form("batched products of rank 3, sequence first", "float[seq, batch, 64] q, float[keys, batch, 64] k,"
         " float[keys, batch, 64] v", """
  q_shape = Shape (q)  k_shape = Shape (k)  seq = Gather (q_shape, i0)  keys = Gather (k_shape, i0)
  batch = Gather (q_shape, i1)  many = Mul (batch, n4)
  flat_q = Concat <axis = 0> (seq, many, n16)  flat_k = Concat <axis = 0> (keys, many, n16)
  q_s = Mul (q, scale)  q_f = Reshape (q_s, flat_q)  k_f = Reshape (k, flat_k)  v_f = Reshape (v, flat_k)
  q_t = Transpose <perm = [1, 0, 2]> (q_f)  k_t = Transpose <perm = [1, 2, 0]> (k_f)
  v_t = Transpose <perm = [1, 0, 2]> (v_f)
  s = MatMul (q_t, k_t)  p = Softmax <axis = -1> (s)  y_f = MatMul (p, v_t)
  y_t = Transpose <perm = [1, 0, 2]> (y_f)  back = Concat <axis = 0> (seq, batch, n64)
  y = Reshape (y_t, back)""",
         plain(axes=dict(q=[1, 2, 0, 2], k=[1, 2, 0, 2], v=[1, 2, 0, 2], y=[1, 2, 0, 2]), k="k", v="v"),
         [("perm = [1, 2, 0]> (k_f)", "perm = [1, 0, 2]> (k_f)", "axes of k_t are not known")]),
    Form("batched products of rank 3 with a mask of rank 3", "float[n, seq, 16] q, float[n, keys, 16] k,"
         " float[n, keys, 16] v, float[1, seq, keys] mask", """
  k_s = Transpose <perm = [0, 2, 1]> (k)  product = MatMul (q, k_s)  scaled = Mul (product, scale)
  s = Add (scaled, mask)  p = Softmax <axis = 2> (s)  y = MatMul (p, v)""",
         dict(q="q", k="k", v="v", q_heads=1, masks=[("mask", "add")]),
         [("float[1, seq, keys] mask", "float[n, seq, keys] mask", dict(q="q", q_heads=1, masks=[("mask", "add")])),
          ("float[1, seq, keys] mask", "float[2, seq, keys] mask", "not proved to be 1 or n")]),
    Form("a mask for each head of a joined batch", QKV + ", float[many, 1, keys] bias", HEADS + """
  q_f = Reshape (q_t, flat_q)  k_f = Reshape (k_t, flat_k)  v_f = Reshape (v_t, flat_k)
  k_s = Transpose <perm = [0, 2, 1]> (k_f)  product = MatMul (q_f, k_s)  scaled = Mul (product, scale)
  q_ts = Shape (q_t)  k_ts = Shape (k_t)  q_tq = Gather (q_ts, i2)  k_tk = Gather (k_ts, i2)
  flat_q = Concat <axis = 0> (last, q_tq, n16)  flat_k = Concat <axis = 0> (last, k_tk, n16)
  b = Gather (q_ts, i0)  both = Mul (b, n4)  alibi_shape = Concat <axis = 0> (both, i1, k_tk)
  alibi = Reshape (bias, alibi_shape)  s = Add (scaled, alibi)
  p = Softmax <axis = -1> (s)  y = MatMul (p, v_f)""",
         dict(q="q_f", k="k_f", v="v_f", q_heads=1, masks=[("alibi", "add")]),
         [("axis = -1", "axis = 1", "does not sum over")]),
    Form("keys times queries, normalised over the last axis but one", QKV, HEADS + """
  q_s = Transpose <perm = [0, 1, 3, 2]> (q_t)  v_s = Transpose <perm = [0, 1, 3, 2]> (v_t)
  product = MatMul (k_t, q_s)  s = Mul (product, scale)  p = Softmax <axis = 2> (s)
  y_t = MatMul (v_s, p)  y = Transpose <perm = [0, 3, 1, 2]> (y_t)""", in_front(),
         [("axis = 2", "axis = 3", "does not sum over")]),
    Form("keys times queries, turned before the mask", QKV + ", float[batch, 1, seq, keys] mask", HEADS + """
  q_s = Transpose <perm = [0, 1, 3, 2]> (q_t)  product = MatMul (k_t, q_s)
  turned = Transpose <perm = [0, 1, 3, 2]> (product)  scaled = Mul (turned, scale)
  s = Add (mask, scaled)""" + SOFTMAX + REST, in_front(masks=[("mask", "add")]),
         [("scaled = Mul (turned, scale)\n  s = Add (mask, scaled)",
           "mask_t = Transpose <perm = [0, 1, 3, 2]> (mask) added = Add (scaled_t, mask_t)"
           " scaled_t = Mul (product, scale) s = Transpose <perm = [0, 1, 3, 2]> (added)", "in this order")]),
    Form("Einsum without Transposes", QKV, """
  q_h = Reshape (q, split)  k_h = Reshape (k, split)  v_h = Reshape (v, split)
  product = Einsum <equation = "bqhd,bkhd->bhqk"> (q_h, k_h)  s = Mul (product, scale)
  p = Softmax <axis = -1> (s)  y = Einsum <equation = "bhqk, bkhd -> bqhd"> (p, v_h)""", in_front(),
         [("bhqk, bkhd -> bqhd", "bhkq, bkhd -> bqhd", "does not sum over"),
          ("bqhd,bkhd->bhqk", "bqhd,bkhe->bhqk", "does not sum over one axis")]),
    Form("FusedMatMul", QKV, HEADS + """
  s = com.microsoft.FusedMatMul <transB = 1, alpha = 0.25> (q_t, k_t)  p = Softmax <axis = -1> (s)
  y_t = com.microsoft.FusedMatMul <alpha = 1.0> (p, v_t)  y = Transpose <perm = [0, 2, 1, 3]> (y_t)""",
         in_front(),
         [("alpha = 1.0", "alpha = 0.5", "the product with V is scaled"),
          ("transB = 1, ", "transB = 1, transBatchA = 1, ", "rank of s is not known")]),
    Form("softmax written out", QKV, SCORES + """
  most = ReduceMax <axes = [-1], keepdims = 1> (s)  less = Sub (s, most)  e = Exp (less)
  sum = ReduceSum (e, last)  p = Div (e, sum)""" + REST, in_front(),
         [("less = Sub (s, most)", "less = Identity (s)  unused = Identity (most)", "less their maximum"),
          ("axes = [-1]", "axes = [1]", "over one axis"),
          ("ReduceSum (e, last)", "ReduceSum (e, i2)", "over one axis"),
          ("Exp (less)", "Relu (less)", "not made by Exp"),
          ("p = Div (e, sum)", "one = Add (sum, scale)  p = Div (e, one)", "no softmax")]),
    Form("softmax through its inverse sum", QKV, SCORES + """
  most = ReduceMax <axes = [3], keepdims = 1> (s)  less = Sub (s, most)  e = Exp (less)
  sum = ReduceSum (e, i3)  inverse = Reciprocal (sum)  p = Mul (e, inverse)""" + REST, in_front(),
         [("ReduceSum (e, i3)", "ReduceSum <keepdims = 0> (e, i3)", "over one axis")]),
    Form("the exponential of LogSoftmax", QKV, SCORES + "\n  l = LogSoftmax <axis = -1> (s)  p = Exp (l)" + REST,
         in_front(), [("p = Exp (l)", "p = Identity (l)", "LogSoftmax")]),
    Form("a softmax over two dimensions, before opset 13", QKV, SCORES.replace("s = Mul", "s4 = Mul") + """
  shape = Shape (s4)  keys = Gather (shape, i3)  rows = Concat <axis = 0> (last, keys)
  two = Reshape (s4, rows)  p2 = Softmax (two)  p = Reshape (p2, shape)""" + REST, in_front(),
         [("Softmax (two)", "Softmax <axis = 0> (two)", "over axis 0 and all after it"),
          ("Concat <axis = 0> (last, keys)", "Identity (flat)", "what the Reshape does")],
         constants=", int64[2] flat = {4, -1}", opset=11),
    Form("guard with a negated test", QKV + ", float[batch, 1, 1, keys] mask", SCORES.replace("  s = Mul", "  t = Mul") + """
  s = Add (t, mask)  p0 = Softmax <axis = -1> (s)  nan = IsNaN (p0)  sound = Not (nan)
  p = Where (sound, p0, zero)""" + REST, in_front(masks=[("mask", "add")], zero_masked_rows=True),
         [("Where (sound, p0, zero)", "Where (sound, zero, p0)", "read by 2 nodes"),
          ("Where (sound, p0, zero)", "Where (sound, p0, scale)", "read by 2 nodes")]),
    Form("no-op nodes in every place", QKV, HEADS + """
  q_c = Cast <to = 1> (q_t)  k_s = Transpose <perm = [0, 1, 3, 2]> (k_t)  k_c = CastLike (k_s, q_c)
  product = MatMul (q_c, k_c)  c = Cast <to = 1> (product)  s0 = Mul (c, scale)  s = Identity (s0)
  p0 = Softmax <axis = -1> (s)  p1 = Dropout (p0)  p = Cast <to = 1> (p1)""" + REST, in_front(),
         [("p0 = Softmax <axis = -1> (s)", "s1 = Cast <to = 11> (s)  p9 = Softmax <axis = -1> (s1)"
           "  p0 = Cast <to = 1> (p9)", "double")]),
    Form("position biases: one a head, one a distance", QKV + ", float[4, 1, keys] slopes, float[1, 4, seq, keys] near",
         SCORES.replace("  s = Mul", "  t = Mul") + "\n  u = Add (t, near)  s = Add (slopes, u)" + SOFTMAX + REST,
         in_front(masks=[("near", "add"), ("slopes", "add")]),
         [("s = Add (slopes, u)", "x = Add (slopes, u)  s = Add (x, near)", "more than 2 masks"),
          ("u = Add (t, near)", "u = Sub (near, t)", "subtracted")]),
    Form("a bool mask inside", QKV + ", bool[batch, 1, 1, keys] keep", SCORES.replace("  s = Mul", "  t = Mul") +
         "\n  s = Where (keep, t, minus)" + SOFTMAX + REST, in_front(masks=[("keep", "keep", -INFINITY)]),
         [("Where (keep, t, minus)", "Where (keep, t, near)", "not one constant number"),
          ("Where (keep, t, minus)", "Where (keep, t, zero)", "which is not negative"),
          ("Where (keep, t, minus)", "Where (keep, t, lowest)", in_front(masks=[("keep", "keep", LOWEST)])),
          ("Where (keep, t, minus)", "Where (keep, minus, t)", in_front(masks=[("keep", "drop", -INFINITY)]))],
         constants=", float[2] near = {0, 1}"),
    Form("scores filled before the scale", QKV + ", bool[batch, 1, seq, keys] masked, float[seq, keys] bias",
         HEADS + """
  k_s = Transpose <perm = [0, 1, 3, 2]> (k_t)  product = MatMul (q_t, k_s)
  filled = Where (masked, hole, product)  t = Mul (filled, scale)  s = Add (t, bias)""" + SOFTMAX + REST,
         in_front(masks=[("masked", "drop", -2500.0), ("bias", "add")]),
         [("Mul (filled, scale)", "Mul (filled, less)", "not by one positive number"),
          ("t = Mul (filled, scale)", "t0 = Mul (filled, scale)  t = Tanh (t0)", "before the softcap")],
         constants=", float hole = {-10000.0}, float less = {-0.25}"),
    Form("one head of keys for all, by broadcasting", "float[batch, 4, seq, 16] q, float[batch, 1, 16, keys] k,"
         " float[batch, 1, keys, 16] v", """
  product = MatMul (q, k)  s = Mul (product, scale)  p = Softmax <axis = -1> (s)  y = MatMul (p, v)""",
         dict(q="q", k="k", v="v", q_heads=4, kv_heads=1),
         [("float[batch, 1, 16, keys] k", "float[1, 1, 16, keys] k", "batch")]),
]

CAUSAL = """
  q_size = Shape (q_t)  k_size = Shape (k_t)  rows = Gather (q_size, i2)  cols = Gather (k_size, i2)
"""
WITH_MASK = SCORES.replace("  s = Mul", "  t = Mul") + "\n  s = Add (t, mask)" + SOFTMAX + REST
FORMS += [
    Form("causality by a triangle of ones", QKV, CAUSAL + """
  both = Concat <axis = 0> (rows, cols)  ones = Expand (one, both)  low = Trilu <upper = 0> (ones, diagonal)
  open = Equal (low, zero)  mask = Where (open, minus, zero)""" + WITH_MASK, in_front(causal=True), [
      ("upper = 0", "upper = 1", plain(masks=[("mask", "add")])),
      ("int64 diagonal = {0}", "int64 diagonal = {1}", plain(masks=[("mask", "add")])),
      ("Where (open, minus, zero)", "Where (open, zero, minus)", plain(masks=[("mask", "add")])),
      ("Equal (low, zero)", "Equal (low, one)", plain(masks=[("mask", "add")])),
      ("Concat <axis = 0> (rows, cols)", "Concat <axis = 0> (cols, cols)", "not proved to be 1 or seq"),
  ], constants=", float one = {1.0}, int64 diagonal = {0}"),
    Form("causality by positions", QKV, CAUSAL + """
  row = Squeeze (rows, i0)  col = Squeeze (cols, i0)
  i = Range (at0, row, at1)  j = Range (at0, col, at1)  down = Unsqueeze (i, i1)  across = Unsqueeze (j, i0)
  open0 = LessOrEqual (across, down)  open1 = And (open0, yes)  open = Unsqueeze (open1, front)
  mask = Where (open, zero, lowest)""" + WITH_MASK, in_front(causal=True), [
      ("LessOrEqual (across, down)", "Less (across, down)", plain(masks=[("mask", "add")])),
      ("LessOrEqual (across, down)", "GreaterOrEqual (across, down)", plain(masks=[("mask", "add")])),
      ("i = Range (at0, row, at1)", "i0s = Range (at0, row, at1)  i = Add (i0s, at1)",
       plain(masks=[("mask", "add")])),
      ("And (open0, yes)", "And (open0, pad)", plain(masks=[("mask", "add")])),
      ("mask = Where (open, zero, lowest)", "mask = Where (open, zero, low)", plain(masks=[("mask", "add")])),
  ], constants=", int64 at0 = {0}, int64 at1 = {1}, bool yes = {1}, bool[1, 1] pad = {0}, int64[2] front = {0, 1},"
               " float low = {-9.0}"),
    Form("causality by a triangle of minus infinity, and a padding mask", QKV + ", float[batch, 1, 1, keys] pad",
         CAUSAL + """
  both = Concat <axis = 0> (rows, cols)  full = ConstantOfShape <value = float[1] {-inf}> (both)
  mask = Trilu <upper = 1> (full, one)""" + WITH_MASK.replace("s = Add (t, mask)",
                                                              "u = Add (t, mask)  s = Add (u, pad)"),
         in_front(causal=True, masks=[("pad", "add")]),
         [("int64 one = {1}", "int64 one = {0}", plain(masks=[("mask", "add"), ("pad", "add")])),
          ("value = float[1] {-inf}", "value = float[1] {-1.0}", plain(masks=[("mask", "add"), ("pad", "add")]))],
         constants=", int64 one = {1}"),
    Form("causality of the scores themselves", QKV + ", bool[1, 1, seq, keys] wide", CAUSAL + """
  row = Squeeze (rows, i0)  col = Squeeze (cols, i0)
  i = Range (at0, row, at1)  j = Range (at0, col, at1)  down = Unsqueeze (i, i1)
  future = Greater (j, down)""" + WITH_MASK.replace("s = Add (t, mask)", "s = Where (future, minus, t)"),
         in_front(causal=True),
         [("s = Where (future, minus, t)", "f = Where (future, minus, t)  s = Where (wide, f, nine)",
           plain(masks=[("future", "drop", -INFINITY), ("wide", "keep", -9.0)]))],
         constants=", int64 at0 = {0}, int64 at1 = {1}, float nine = {-9.0}"),
]

GROUPS = ("float[batch, 4, seq, 16] q, float[batch, 2, keys, 16] k, float[batch, 2, keys, 16] v")
GROUPED_REST = """
  k_s = Transpose <perm = [0, 1, 3, 2]> (k_all)  product = MatMul (q, k_s)  s = Mul (product, scale)
  p = Softmax <axis = -1> (s)  y = MatMul (p, v_all)"""
GROUPED = dict(q="q", k="k", v="v", q_heads=4, kv_heads=2, scale=0.25)
FIVE = "\n  k5 = Unsqueeze (k, i2)  v5 = Unsqueeze (v, i2)"
FOUR = """
  shape = Shape (k)  first = Gather (shape, i0)  third = Gather (shape, i2)
  whole = Concat <axis = 0> (first, n4, third, n16)
  k_all = Reshape (k_n, whole)  v_all = Reshape (v_n, whole)"""
FORMS += [
    Form("groups by Tile", GROUPS, FIVE + "\n  k_n = Tile (k5, times)  v_n = Tile (v5, times)" + FOUR + GROUPED_REST,
         GROUPED, [("k_n = Tile (k5, times)  v_n = Tile (v5, times)",
                    "k_n = Tile (k, whole_times)  v_n = Tile (v, whole_times)",
                    dict(q="q", k="k_all", v="v_all", kv_heads=4))],
         constants=", int64[5] times = {1, 1, 2, 1, 1}, int64[4] whole_times = {1, 2, 1, 1}"),
    Form("groups by Concat", GROUPS, FIVE + "\n  k_n = Concat <axis = 2> (k5, k5)  v_n = Concat <axis = 2> (v5, v5)" +
         FOUR + GROUPED_REST, GROUPED,
         [("v_n = Concat <axis = 2> (v5, v5)", "v_n = Concat <axis = 2> (v5, k5)",
           dict(k="k_all", v="v_all", kv_heads=4))]),
    Form("groups by Gather", GROUPS, """
  k_all = Gather <axis = 1> (k, which)  v_all = Gather <axis = 1> (v, which)""" + GROUPED_REST, GROUPED,
         [("{0, 0, 1, 1}", "{0, 1, 0, 1}", dict(k="k_all", v="v_all", kv_heads=4))],
         constants=", int64[4] which = {0, 0, 1, 1}"),
    Form("groups by Expand", GROUPS, FIVE + """
  k_shape = Shape (k)  b = Gather (k_shape, i0)  t = Gather (k_shape, i2)
  many = Concat <axis = 0> (b, i2, i2, t, n16)
  k_n = Expand (k5, many)  v_n = Expand (v5, many)""" + FOUR + GROUPED_REST, GROUPED,
         [("v_n = Expand (v5, many)", "v_n = Expand (k5, many)", dict(v="k"))]),
    Form("a cache outside", GROUPS + ", float[batch, 2, past, 16] past_k, float[batch, 2, past, 16] past_v", """
  k_o = Concat <axis = 2> (past_k, k)  v_o = Concat <axis = 2> (past_v, v)
  k_all = Gather <axis = 1> (k_o, which)  v_all = Gather <axis = 1> (v_o, which)""" + GROUPED_REST,
         GROUPED | dict(k="k_o", v="v_o"),
         [("v_o = Concat <axis = 2> (past_v, v)", "v_o = Identity (v)", "keys")],
         constants=", int64[4] which = {0, 0, 1, 1}"),
]

MULTI = "\n  y = com.microsoft.MultiHeadAttention <num_heads = 4> (q, k, v)"
FORMS += [
    Form("com.microsoft MultiHeadAttention", QKV, MULTI, dict(q="q", k="k", v="v", q_heads=4, scale=0.25, masks=[]), [
        ("(q, k, v)", "(q)", "packed in one tensor"),
        ("(q, k, v)", "(q, k, v, b)", "a bias to Q, K and V"),
        ("(q, k, v)", "(q, k, v, , pad)", "key padding mask"),
        ("num_heads = 4", "num_heads = 4, unidirectional = 1", "not proved to be as many"),
        ("num_heads = 4", "num_heads = 5", "5 heads"),
        ("MultiHeadAttention <num_heads = 4> (q, k, v)", "GroupQueryAttention <num_heads = 4, kv_num_heads = 4,"
         " do_rotary = 1> (q, k, v, past, past, pad, pad)", "past of keys and values"),
        ("MultiHeadAttention <num_heads = 4>", "PackedAttention <num_heads = 4>", "com.microsoft::PackedAttention"),
        ("MultiHeadAttention <num_heads = 4>", "DecoderMaskedMultiHeadAttention <num_heads = 4>",
         "DecoderMaskedMultiHeadAttention is not compiled"),
        ("com.microsoft.MultiHeadAttention <num_heads = 4>", "LinearAttention", "ai.onnx::LinearAttention"),
        ("com.microsoft.MultiHeadAttention <num_heads = 4>", "FlexAttention", "ai.onnx::FlexAttention"),
    ]),
    Form("com.microsoft MultiHeadAttention with scale and bias", QKV + ", float[batch, 4, seq, keys] bias", """
  y = com.microsoft.MultiHeadAttention <num_heads = 4, scale = 0.5> (q, k, v, , , bias)""",
         dict(q="q", k="k", v="v", q_heads=4, scale=0.5, masks=[("bias", "add")]),
         [("scale = 0.5", "unidirectional = 1", "causal and has an attention bias")]),
    Form("com.microsoft MultiHeadAttention, causal", "float[batch, seq, 64] q, float[batch, seq, 64] k,"
         " float[batch, seq, 96] v", MULTI.replace("= 4", "= 4, unidirectional = 1"),
         dict(q="q", k="k", v="v", v_head_size=24, causal=True),
         [("num_heads = 4", "num_heads = 4, other = 1", "attribute other")]),
    Form("com.microsoft MultiHeadAttention with heads of keys apart", "float[batch, seq, 64] q,"
         " float[batch, 4, keys, 16] k, float[batch, 4, keys, 16] v", MULTI,
         dict(q="q", k="k", v="v", axes=dict(k=[0, 1, 2, 3])),
         [("float[batch, 4, keys, 16] v", "float[batch, 2, keys, 16] v", "heads")]),
]

# What is named and left alone, and what is not even a candidate ("" as the words).
LEFT_ALONE = [
    Form("scores of rank 5, groups apart", "float[batch, 2, 2, seq, 16] q, float[batch, 2, 1, 16, keys] k,"
         " float[batch, 2, 1, keys, 16] v", "  s = MatMul (q, k)  p = Softmax <axis = -1> (s)  y = MatMul (p, v)",
         dict(words="rank of q is 5")),
    Form("scores of rank 2", "float[seq, 16] q, float[16, keys] k, float[keys, 16] v",
         "  s = MatMul (q, k)  p = Softmax <axis = -1> (s)  y = MatMul (p, v)", dict(words="rank of q is 2")),
    Form("an operand of unknown rank", "float q, float[batch, 4, 16, keys] k, float[batch, 4, keys, 16] v,"
         " int64[any] shape", "  r = Reshape (q, shape)  s = MatMul (r, k)  p = Softmax <axis = -1> (s)"
         "  y = MatMul (p, v)", dict(words="not known")),
    Form("the Attention operator with an operand of unknown rank", "float q, float[batch, 4, keys, 16] k,"
         " int64[any] shape", "  r = Reshape (q, shape)  y = Attention (r, k, k)",
         dict(words="the rank of r is not known"), opset=23),
    Form("weights that multiply V before they are normalised", QKV, SCORES + """
  most = ReduceMax <axes = [-1], keepdims = 1> (s)  less = Sub (s, most)  e = Exp (less)
  sum = ReduceSum (e, last)  y_t = MatMul (e, v_t)  y4 = Div (y_t, sum)  y3 = Transpose <perm = [0, 2, 1, 3]> (y4)
  y2 = Reshape (y3, merge)  y = MatMul (y2, w)""", dict(words="no softmax"), constants=", float[64, 8] w = {WEIGHTS}"),
    Form("a softmax of another domain", QKV, SCORES + "\n  p = com.microsoft.BiasSoftmax <axis = 3> (s, s)" + REST,
         dict(words="BiasSoftmax")),
    Form("a classifier's softmax", "float[n, 64] x, float[64, 10] w", "  m = MatMul (x, w)  y = Softmax (m)",
         dict(words="")),
    Form("mean pooling", "float[n, s, 64] x, float[n, s, 1] m, float[64, 8] w", """
  x2 = MatMul (x, w)  kept = Mul (x2, m)  sum = ReduceSum <keepdims = 0> (kept, i1)
  count = ReduceSum <keepdims = 0> (m, i1)  mean = Div (sum, count)  y = MatMul (mean, wide)""",
         dict(words=""), constants=", float[8, 2] wide = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}"),
]
for form in LEFT_ALONE:
    form.constants = form.constants.replace("WEIGHTS", ", ".join(["0.5"] * 512))
