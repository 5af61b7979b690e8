"""Small models of the kinds of layers that OpenVINO is given, with seeded weights."""
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS, HIDDEN = 64, 4, 128


class Builder:
    def __init__(self, opset, seed=0):
        self.opset, self.rng = opset, numpy.random.default_rng(seed)
        self.nodes, self.initializers, self.count = [], [], 0

    def weight(self, *shape, scale=0.1, kind=numpy.float32):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(kind))

    def constant(self, value, name=None):
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(numpy.asarray(value), name))
        return name

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, inputs, outputs, domains=()):
        """`inputs`, `outputs`: (name, element type, shape)."""
        renamed = [helper.make_tensor_value_info(*value) for value in outputs]
        graph = helper.make_graph(self.nodes, "test", [helper.make_tensor_value_info(*v) for v in inputs], renamed,
                                  self.initializers)
        imports = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, 1) for d in domains]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def mlp(kind=numpy.float32, batch="batch", opset=20, unused=False):
    b = Builder(opset)
    element = helper.np_dtype_to_tensor_dtype(numpy.dtype(kind))
    hidden = b.node("MatMul", ["x", b.weight(WIDTH, HIDDEN, kind=kind)])
    hidden = b.node("Add", [hidden, b.weight(HIDDEN, kind=kind)])
    hidden = b.node("Gelu", [hidden])
    y = b.node("MatMul", [hidden, b.weight(HIDDEN, WIDTH, kind=kind)])
    y2 = b.node("Relu", [y])
    inputs = [("x", element, [batch, WIDTH])]
    if unused:
        inputs.insert(0, ("nobody", TensorProto.UINT8, [3]))
    return b.model(inputs, [(y, element, [batch, WIDTH]), (y2, element, [batch, WIDTH])])


def block(kind=numpy.float32, opset=17, quantised=False, batch="batch", length="length"):
    """A transformer block with decomposed attention: fp32, fp16, or int8 weights behind DequantizeLinear."""
    b = Builder(opset)
    element = helper.np_dtype_to_tensor_dtype(numpy.dtype(kind))

    def dense(x, rows, columns):
        if quantised:
            weight = b.constant(b.rng.integers(-127, 128, (rows, columns)).astype(numpy.int8))
            scale = b.constant((b.rng.random(columns) * 2e-3 + 1e-3).astype(numpy.float32))
            zero = b.constant(numpy.zeros(columns, numpy.int8))
            step, point = b.constant(numpy.float32(0.05)), b.constant(numpy.uint8(128))
            x = b.node("QuantizeLinear", [x, step, point])
            x = b.node("DequantizeLinear", [x, step, point])
            weight = b.node("DequantizeLinear", [weight, scale, zero], axis=1)
        else:
            weight = b.weight(rows, columns, kind=kind)
        return b.node("Add", [b.node("MatMul", [x, weight]), b.weight(columns, kind=kind)])

    def heads(x):
        x = b.node("Reshape", [x, b.constant(numpy.int64([0, 0, HEADS, WIDTH // HEADS]))])
        return b.node("Transpose", [x], perm=[0, 2, 1, 3])

    def norm(x):
        return b.node("LayerNormalization", [x, b.weight(WIDTH, kind=kind), b.weight(WIDTH, kind=kind)], axis=-1)

    q, k, v = (heads(dense("x", WIDTH, WIDTH)) for _ in range(3))
    scores = b.node("MatMul", [q, b.node("Transpose", [k], perm=[0, 1, 3, 2])])
    scores = b.node("Mul", [scores, b.constant(numpy.asarray(0.25, kind))])
    scores = b.node("Add", [scores, "mask"])
    y = b.node("MatMul", [b.node("Softmax", [scores], axis=-1), v])
    y = b.node("Reshape", [b.node("Transpose", [y], perm=[0, 2, 1, 3]), b.constant(numpy.int64([0, 0, WIDTH]))])
    x = norm(b.node("Add", ["x", dense(y, WIDTH, WIDTH)]))
    hidden = dense(x, WIDTH, HIDDEN)
    hidden = b.node("Mul", [hidden, b.node("Sigmoid", [hidden])])
    y = norm(b.node("Add", [x, dense(hidden, HIDDEN, WIDTH)]))
    return b.model([("x", element, [batch, length, WIDTH]), ("mask", element, [batch, 1, 1, length])],
                   [(y, element, [batch, length, WIDTH])])


def int4_blocks(rows=64, columns=96):
    """A MatMul whose weight is int4 in blocks of 32 along its rows."""
    b = Builder(21)
    packed = b.rng.integers(0, 256, rows * columns // 2).astype(numpy.uint8).tobytes()
    b.initializers.append(helper.make_tensor("w", TensorProto.INT4, [rows, columns], packed, raw=True))
    scale = b.constant((b.rng.random((rows // 32, columns)) * 0.02 + 0.01).astype(numpy.float32))
    y = b.node("MatMul", ["x", b.node("DequantizeLinear", ["w", scale], axis=0, block_size=32)])
    return b.model([("x", TensorProto.FLOAT, ["batch", rows])], [(y, TensorProto.FLOAT, ["batch", columns])])


def rotary():
    b = Builder(23)
    y = b.node("RotaryEmbedding", ["x", b.weight(16, 8), b.weight(16, 8), "positions"])
    return b.model([("x", TensorProto.FLOAT, [1, 2, 16, 16]), ("positions", TensorProto.INT64, [1, 16])],
                   [(y, TensorProto.FLOAT, [1, 2, 16, 16])])


def attention(opset=24, **attributes):
    b = Builder(opset)
    y = b.node("Attention", ["q", "k", "v"], **attributes)
    shape = [1, 2, 8, 16]
    return b.model([(name, TensorProto.FLOAT, shape) for name in "qkv"], [(y, TensorProto.FLOAT, shape)])


def inputs_of(model, sizes, seed=1):
    """Seeded inputs; `sizes`: what its named dimensions are."""
    rng, found = numpy.random.default_rng(seed), {}
    for value in model.graph.input:
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [sizes.get(d.dim_param, d.dim_value) if d.dim_param else d.dim_value
                 for d in value.type.tensor_type.shape.dim]
        found[value.name] = (rng.standard_normal(shape) if kind.kind == "f" else rng.integers(0, 9, shape)).astype(kind)
    return found
