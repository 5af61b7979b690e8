"""Small models for tests: attention as exporters write it, as an operator, inside branches, and none."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, SIZE = 2, 32
HIDDEN = HEADS * SIZE
IR, OPSET = 8, 17


def _weights(seed, *shape):
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


def _initializer(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def _x(rank3=("batch", "length", HIDDEN)):
    return helper.make_tensor_value_info("x", TensorProto.FLOAT, rank3)


def _y():
    return helper.make_tensor_value_info("y", TensorProto.FLOAT, ("batch", "length", HIDDEN))


def _model(graph, opset=OPSET, ir=IR):
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir,
                             producer_name="sample")


def _layer(prefix, x, y, bias, seed):
    """One attention layer in the form of old BERT exports: (nodes, initializers)."""
    name = lambda part: f"{prefix}/{part}"
    nodes, tensors = [], []

    def node(op, inputs, out, **attributes):
        nodes.append(helper.make_node(op, inputs, [out], name=f"node_{out}", **attributes))
        return out

    heads = {}
    for i, part in enumerate("qkv"):
        tensors.append(_initializer(name(f"w{part}"), _weights(seed + i, HIDDEN, HIDDEN)))
        product = node("MatMul", [x, name(f"w{part}")], name(f"{part}_flat"))
        shaped = node("Reshape", [product, "split"], name(f"{part}_split"))
        heads[part] = node("Transpose", [shaped], name(f"{part}_heads"), perm=[0, 2, 1, 3])
    key = node("Transpose", [heads["k"]], name("k_turned"), perm=[0, 1, 3, 2])
    scores = node("MatMul", [heads["q"], key], name("scores"))
    scaled = node("Div", [scores, "root"], name("scaled"))
    masked = node("Add", [scaled, bias], name("masked")) if bias else scaled
    weights = node("Softmax", [masked], name("weights"), axis=-1)
    mixed = node("MatMul", [weights, heads["v"]], name("mixed"))
    turned = node("Transpose", [mixed], name("turned"), perm=[0, 2, 1, 3])
    joined = node("Reshape", [turned, "join"], name("joined"))
    tensors.append(_initializer(name("wo"), _weights(seed + 3, HIDDEN, HIDDEN)))
    node("MatMul", [joined, name("wo")], y)
    return nodes, tensors


def decomposed(layers=2):
    """`layers` layers of masked attention; mask (batch, length) int64, 1 = attend."""
    nodes = [
        helper.make_node("Unsqueeze", ["mask", "middle"], ["mask4"], name="node_mask4"),
        helper.make_node("Cast", ["mask4"], ["mask_float"], name="node_cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "mask_float"], ["inverted"], name="node_sub"),
        helper.make_node("Mul", ["inverted", "lowest"], ["bias"], name="node_bias"),
    ]
    tensors = [_initializer("split", np.array([0, 0, HEADS, SIZE], np.int64)),
               _initializer("join", np.array([0, 0, HIDDEN], np.int64)),
               _initializer("root", np.float32(np.sqrt(SIZE))), _initializer("one", np.float32(1)),
               _initializer("lowest", np.finfo(np.float32).min), _initializer("middle", np.array([1, 2], np.int64))]
    value = "x"
    for i in range(layers):
        out = "y" if i + 1 == layers else f"h{i}"
        layer_nodes, layer_tensors = _layer(f"layer{i}", value, out, "bias", 10 * i)
        nodes += layer_nodes
        tensors += layer_tensors
        value = out
    mask = helper.make_tensor_value_info("mask", TensorProto.INT64, ("batch", "length"))
    return _model(helper.make_graph(nodes, "decomposed", [_x(), mask], [_y()], tensors))


def operator(opset=23):
    """One Attention operator between projections, causal."""
    nodes, tensors = [], []
    for i, part in enumerate("qkv"):
        tensors.append(_initializer(f"w{part}", _weights(i, HIDDEN, HIDDEN)))
        nodes.append(helper.make_node("MatMul", ["x", f"w{part}"], [part], name=f"node_{part}"))
    nodes.append(helper.make_node("Attention", ["q", "k", "v"], ["y"], name="node_attention", is_causal=1,
                                  q_num_heads=HEADS, kv_num_heads=HEADS))
    return _model(helper.make_graph(nodes, "operator", [_x()], [_y()], tensors), opset, 10)


def branches():
    """Two branches with weights of their own; the outer value is captured by name."""
    def branch(name, seed):
        weight = _initializer(f"{name}_w", _weights(seed, HIDDEN, HIDDEN))
        node = helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_y"], name=f"node_{name}")
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [out], [weight])

    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    node = helper.make_node("If", ["flag"], ["y"], name="node_if", then_branch=branch("yes", 1),
                            else_branch=branch("no", 2))
    return _model(helper.make_graph([node], "branches", [flag, _x()], [_y()]))


def without_attention():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="node_h"),
             helper.make_node("Relu", ["h"], ["y"], name="node_y")]
    return _model(helper.make_graph(nodes, "plain", [_x()], [_y()], [_initializer("w", _weights(0, HIDDEN, HIDDEN))]))


def ep_context(code, embedded=True, file="code.bin"):
    """Two EPContext nodes of a made-up provider: a main one that holds (or names) the code, one that shares it."""
    def node(name, x, y, **attributes):
        return helper.make_node("EPContext", [x], [y], name=name, domain="com.microsoft", source="MadeUp",
                                partition_name=name, hardware_architecture="model 7", **attributes)

    main = node("first", "x", "h", main_context=1, embed_mode=int(embedded), ep_sdk_version="1.2",
                ep_cache_context=code if embedded else file)
    shared = node("second", "h", "y", main_context=0, embed_mode=0)
    middle = helper.make_tensor_value_info("h", TensorProto.FLOAT, ("batch", "length", HIDDEN))
    graph = helper.make_graph([main, shared], "compiled", [_x()], [_y()], value_info=[middle])
    model = helper.make_model(graph, ir_version=IR, opset_imports=[
        helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)])
    entry = model.metadata_props.add()
    entry.key, entry.value = "ep_compatibility_info.MadeUp", "soc=7;version=1.2"
    return model


def save_external(model, path, location):
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=location,
              size_threshold=128)


def feeds(model, batch=2, length=9, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.ones((batch, length), np.int64)
    mask[-1, length // 2:] = 0
    made = {"x": rng.standard_normal((batch, length, HIDDEN)).astype(np.float32), "mask": mask,
            "flag": np.array(True)}
    return {value.name: made[value.name] for value in model.graph.input}
