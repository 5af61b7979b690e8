"""Small models with attention, and packages of them."""
import os
import pathlib
import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BUILD = pathlib.Path(os.environ["BCTX_BUILD"])
DEPS = pathlib.Path(os.environ["BCTX_DEPS"])
PACK = BUILD / "bin" / "bctx-pack"
PROVIDER_LIBRARY = BUILD / "lib" / "libbackendctx_ort.so"
HEADS, HEAD_SIZE = 2, 32
WIDTH = HEADS * HEAD_SIZE


def weight(rng, name, *shape):
    return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32), name)


def attention_layer(rng, prefix, x, nodes, initializers):
    """x -> projections -> Attention -> projection, added to x."""
    parts = []
    for part in "qkv":
        initializers.append(weight(rng, f"{prefix}_{part}_w", WIDTH, WIDTH))
        nodes.append(helper.make_node("MatMul", [x, f"{prefix}_{part}_w"], [f"{prefix}_{part}"]))
        parts.append(f"{prefix}_{part}")
    nodes.append(helper.make_node("Attention", parts, [f"{prefix}_y"], q_num_heads=HEADS, kv_num_heads=HEADS,
                                  name=f"{prefix}_attention"))
    nodes.append(helper.make_node("Add", [f"{prefix}_y", x], [f"{prefix}_out"]))
    return f"{prefix}_out"


def finish(graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def value(name, *dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims))


def two_layers():
    rng = np.random.default_rng(7)
    nodes, initializers = [], []
    x = attention_layer(rng, "first", "x", nodes, initializers)
    x = attention_layer(rng, "second", x, nodes, initializers)
    nodes.append(helper.make_node("Identity", [x], ["y"]))
    return finish(helper.make_graph(nodes, "two", [value("x", "b", "s", WIDTH)], [value("y", "b", "s", WIDTH)],
                                    initializers))


def one_value_thrice():
    """Q, K and V are one value: a fused node has it once."""
    nodes = [helper.make_node("Attention", ["x", "x", "x"], ["y"], q_num_heads=HEADS, kv_num_heads=HEADS)]
    return finish(helper.make_graph(nodes, "thrice", [value("x", "b", "s", WIDTH)], [value("y", "b", "s", WIDTH)]))


def in_branches():
    """Attention in both branches of an If, and none outside."""
    rng = np.random.default_rng(9)
    initializers, branches = [], []
    for name in ("then", "otherwise"):
        nodes = []
        out = attention_layer(rng, name, "x", nodes, initializers)
        branches.append(helper.make_graph(nodes, name, [], [value(out, "b", "s", WIDTH)]))
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1])
    return finish(helper.make_graph([node], "branches", [flag, value("x", "b", "s", WIDTH)],
                                    [value("y", "b", "s", WIDTH)], initializers))


def decomposed():
    """Attention written out, with the scale as a constant that becomes an operand of the call."""
    rng = np.random.default_rng(11)
    initializers = [numpy_helper.from_array(np.array([0, 0, HEADS, HEAD_SIZE], np.int64), "split"),
                    numpy_helper.from_array(np.array([0, 0, WIDTH], np.int64), "join"),
                    numpy_helper.from_array(np.array(np.sqrt(HEAD_SIZE), np.float32), "root")]
    nodes = []
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        initializers.append(weight(rng, f"{part}_w", WIDTH, WIDTH))
        nodes += [helper.make_node("MatMul", ["x", f"{part}_w"], [f"{part}_flat"]),
                  helper.make_node("Reshape", [f"{part}_flat", "split"], [f"{part}_split"]),
                  helper.make_node("Transpose", [f"{part}_split"], [part], perm=order)]
    nodes += [helper.make_node("MatMul", ["q", "k"], ["products"]),
              helper.make_node("Div", ["products", "root"], ["scores"]),
              helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
              helper.make_node("MatMul", ["weights", "v"], ["heads"]),
              helper.make_node("Transpose", ["heads"], ["rows"], perm=[0, 2, 1, 3]),
              helper.make_node("Reshape", ["rows", "join"], ["attended"]),
              helper.make_node("Add", ["attended", "x"], ["y"])]
    return finish(helper.make_graph(nodes, "decomposed", [value("x", "b", "s", WIDTH)],
                                    [value("y", "b", "s", WIDTH)], initializers))


def split_heads(nodes, flat, name, order):
    nodes.append(helper.make_node("Reshape", [flat, "split"], [f"{name}_split"]))
    nodes.append(helper.make_node("Transpose", [f"{name}_split"], [name], perm=order))


def shapes():
    return [numpy_helper.from_array(np.array([0, 0, HEADS, HEAD_SIZE], np.int64), "split"),
            numpy_helper.from_array(np.array([0, 0, WIDTH], np.int64), "join"),
            numpy_helper.from_array(np.array(np.sqrt(HEAD_SIZE), np.float32), "root")]


def attend(nodes, prefix, q, k, v, bias=None):
    """Attention written out from flat projections; the name of its flat result."""
    for part, flat, order in (("q", q, [0, 2, 1, 3]), ("k", k, [0, 2, 3, 1]), ("v", v, [0, 2, 1, 3])):
        split_heads(nodes, flat, f"{prefix}_{part}", order)
    nodes += [helper.make_node("MatMul", [f"{prefix}_q", f"{prefix}_k"], [f"{prefix}_products"]),
              helper.make_node("Div", [f"{prefix}_products", "root"], [f"{prefix}_scores"])]
    scores = f"{prefix}_scores"
    if bias:
        nodes.append(helper.make_node("Add", [scores, bias], [f"{prefix}_masked"]))
        scores = f"{prefix}_masked"
    nodes += [helper.make_node("Softmax", [scores], [f"{prefix}_weights"], axis=-1),
              helper.make_node("MatMul", [f"{prefix}_weights", f"{prefix}_v"], [f"{prefix}_heads"]),
              helper.make_node("Transpose", [f"{prefix}_heads"], [f"{prefix}_rows"], perm=[0, 2, 1, 3]),
              helper.make_node("Reshape", [f"{prefix}_rows", "join"], [f"{prefix}_attended"])]
    return f"{prefix}_attended"


def masked_layers():
    """Three layers, each of which computes the same mask anew, as the legacy exporter writes them."""
    rng = np.random.default_rng(13)
    initializers = [*shapes(), numpy_helper.from_array(np.array(1, np.float32), "one"),
                    numpy_helper.from_array(np.array(-10000, np.float32), "low"),
                    numpy_helper.from_array(np.array([1, 2], np.int64), "axes")]
    nodes, x = [], "x"
    for i in range(3):
        nodes += [helper.make_node("Unsqueeze", ["mask", "axes"], [f"wide_{i}"]),
                  helper.make_node("Cast", [f"wide_{i}"], [f"float_{i}"], to=TensorProto.FLOAT),
                  helper.make_node("Sub", ["one", f"float_{i}"], [f"gone_{i}"]),
                  helper.make_node("Mul", [f"gone_{i}", "low"], [f"bias_{i}"])]
        flats = []
        for part in "qkv":
            initializers.append(weight(rng, f"{part}_w_{i}", WIDTH, WIDTH))
            nodes.append(helper.make_node("MatMul", [x, f"{part}_w_{i}"], [f"{part}_flat_{i}"]))
            flats.append(f"{part}_flat_{i}")
        attended = attend(nodes, f"layer{i}", *flats, bias=f"bias_{i}")
        nodes.append(helper.make_node("Add", [attended, x], [f"out_{i}"]))
        x = f"out_{i}"
    nodes.append(helper.make_node("Identity", [x], ["y"]))
    mask_input = helper.make_tensor_value_info("mask", TensorProto.INT64, ["b", "s"])
    return finish(helper.make_graph(nodes, "masked", [value("x", "b", "s", WIDTH), mask_input],
                                    [value("y", "b", "s", WIDTH)], initializers))


def mask(batch=2, length=19):
    made = np.ones((batch, length), np.int64)
    made[0, length // 2:] = 0
    return made


def one_key_twice():
    """Two attentions over one key: what each does to it is the same, and is merged."""
    rng = np.random.default_rng(17)
    initializers, nodes = shapes(), []
    for part in ("q", "r", "k", "v"):
        initializers.append(weight(rng, f"{part}_w", WIDTH, WIDTH))
        nodes.append(helper.make_node("MatMul", ["x", f"{part}_w"], [f"{part}_flat"]))
    first = attend(nodes, "first", "q_flat", "k_flat", "v_flat")
    second = attend(nodes, "second", "r_flat", "k_flat", "v_flat")
    nodes.append(helper.make_node("Add", [first, second], ["y"]))
    return finish(helper.make_graph(nodes, "key", [value("x", "b", "s", WIDTH)],
                                    [value("y", "b", "s", WIDTH)], initializers))


def no_attention():
    return finish(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "plain",
                                    [value("x", "b", "s", WIDTH)], [value("y", "b", "s", WIDTH)]))


def inputs(batch=2, length=19):
    return {"x": np.random.default_rng(3).standard_normal((batch, length, WIDTH)).astype(np.float32)}


def pack(model, folder, name, home, *flags):
    """A package of `model` in `folder`, signed by the key of `home`, as (front, container)."""
    source = folder / f"{name}-source.onnx"
    onnx.save(model, source)
    front = folder / f"{name}.onnx"
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run([PACK, "pack", source, "-o", front, "--force", *flags], env=environment,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pack failed with {done.returncode}: {done.stderr}")
    containers = list(folder.glob(f"{name}-*.bctx"))
    assert len(containers) == (0 if "--embed" in flags else 1), containers
    return front, containers[0] if containers else None


def inspect(verb, front, *flags, home):
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("XDG_CONFIG_HOME", None)
    return subprocess.run([BUILD / "bin" / "bctx-inspect", verb, front, *flags], env=environment,
                          capture_output=True, text=True, check=True).stdout
