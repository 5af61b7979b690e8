#!/usr/bin/env python3
"""Run every region that print_attention finds alone and compare it with plain attention in float64.

    try_regions.py PRINT_ATTENTION MODEL.onnx...

Each region's nodes become a model of their own, fed with made-up inputs of the shapes that the report
gives; onnxruntime's answer must be that of the formula in attention.h with the report's operands, axes,
scale, softcap, masks and heads. So what is reported is checked against what the nodes do. Regions in
subgraphs are skipped and counted. Needs numpy, onnx, onnxruntime.
"""
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime

CASES = [dict(B=1, Sq=1, Sk=1, Hq=2, Hk=2), dict(B=2, Sq=5, Sk=7, Hq=4, Hk=4), dict(B=3, Sq=9, Sk=6, Hq=2, Hk=2)]
LOWEST = np.finfo(np.float32).min


def sizes(extents, case):
    return [factor * case[symbol] if symbol else constant for constant, symbol, factor in extents]


def region_model(model, region):
    """The nodes as a model; constants keep their tensors, inputs and outputs have no type but their own."""
    graph = model.graph
    made = {o: n for n in graph.node for o in n.output}
    tensors = {t.name: t for t in graph.initializer}
    nodes = [made[c] for c in region["constants"] if c in made] + [graph.node[i] for i in region["nodes"]]
    types = {v: onnx.TensorProto.FLOAT for v in
             [region[x]["value"] for x in "qkvy"] + [m["value"] for m in region["masks"] if m["kind"] == "add"]}
    types |= {m["value"]: onnx.TensorProto.BOOL for m in region["masks"] if m["kind"] != "add"}
    inputs = []
    for shape in region["inputs"]:
        kind = types.get(shape["value"], onnx.TensorProto.INT64 if shape["has_values"] else onnx.TensorProto.FLOAT)
        inputs.append(onnx.helper.make_tensor_value_info(shape["value"], kind, [None] * len(shape["dims"])))
    output = onnx.helper.make_tensor_value_info(region["outputs"][0], onnx.TensorProto.FLOAT, None)
    body = onnx.helper.make_graph(nodes, "region", inputs, [output],
                                  [tensors[c] for c in region["constants"] if c in tensors])
    return onnx.helper.make_model(body, opset_imports=list(model.opset_import), ir_version=10)


def feeds(region, case, rng, style):
    masks = {m["value"]: m["kind"] for m in region["masks"]}
    result = {}
    for shape in region["inputs"]:
        dims, name = sizes(shape["dims"], case), shape["value"]
        if shape["has_values"]:
            result[name] = np.array(sizes(shape["values"], case), np.int64).reshape(dims)
        elif shape["floats"]:
            result[name] = np.array(shape["floats"], np.float32).reshape(dims)
        elif name not in masks:
            result[name] = rng.standard_normal(dims).astype(np.float32)
        else:
            open_ = rng.random(dims) < 0.7
            if not region["zero_masked_rows"] and open_.ndim:
                open_[..., 0] = True
            if masks[name] != "add":
                result[name] = open_ if masks[name] == "keep" else ~open_
            elif style == 0:
                result[name] = rng.standard_normal(dims).astype(np.float32)
            else:
                result[name] = np.where(open_, 0, [LOWEST, -np.inf][style - 1]).astype(np.float32)
    return result


def logical(tensor, operand, heads):
    """As (batch, head, sequence, channel)."""
    b, h, s, c = operand["axis"]
    if tensor.ndim == 4:
        return tensor.transpose(b, h, s, c)
    packed = tensor.transpose(b, s, c)
    return packed.reshape(*packed.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attention(region, values):
    take = lambda name: values[region[name]["value"]].astype(np.float64)
    q = logical(take("q"), region["q"], region["q_heads"])
    k = logical(take("k"), region["k"], region["kv_heads"])
    v = logical(take("v"), region["v"], region["kv_heads"])
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    s = region["scale"] * (q @ k.swapaxes(-1, -2))
    if region["softcap"]:
        s = region["softcap"] * np.tanh(s / region["softcap"])
    for mask in region["masks"]:
        m = values[mask["value"]]
        if region["q_heads"] == 1 and m.ndim == 3:
            m = m[:, None]
        if mask["kind"] == "add":
            # In float32, as the nodes add: a score disappears beside the lowest float.
            s = (s.astype(np.float32) + m).astype(np.float64)
        else:
            s = np.where(m if mask["kind"] == "keep" else ~m, s, float(mask["fill"]))
    if region["causal"]:
        s = np.where(np.tri(s.shape[-2], s.shape[-1], dtype=bool), s, -np.inf)
    with np.errstate(invalid="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    if region["zero_masked_rows"]:
        p = np.nan_to_num(p, nan=0.0)
    y = p @ v
    axis = region["y"]["axis"]
    if len(set(axis)) == 4:
        order = np.argsort(axis)
        return y.transpose(order)
    packed = y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)
    return packed if axis[2] == 1 else packed.swapaxes(0, 1)


def check(path, print_attention):
    model = onnx.load(path)
    lines = subprocess.run([print_attention, "--json", str(path)], check=True, capture_output=True, text=True)
    tried = skipped = 0
    worst = 0.0
    for line in lines.stdout.splitlines():
        region = json.loads(line)
        if "not_taken" in region:
            continue
        if region["graph"]:
            skipped += 1
            continue
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        body = region_model(model, region)
        session = onnxruntime.InferenceSession(body.SerializeToString(), options, ["CPUExecutionProvider"])
        for number, case in enumerate(CASES):
            rng = np.random.default_rng(number)
            values = feeds(region, case, rng, number)
            constants = {t.name: onnx.numpy_helper.to_array(t) for t in body.graph.initializer}
            found, = session.run(None, values)
            expected = attention(region, constants | values)
            assert found.shape == expected.shape, (path, found.shape, expected.shape)
            same = np.isfinite(found) == np.isfinite(expected)
            error = np.abs(np.nan_to_num(found - expected)).max() if same.all() else np.inf
            worst = max(worst, error)
            assert error < 2e-5, (path, region["y"], case, error)
        tried += 1
    print(f"{path}: {tried} regions agree, worst difference {worst:.1e}, {skipped} in subgraphs skipped")
    return tried


def main():
    tried = sum(check(pathlib.Path(path), sys.argv[1]) for path in sys.argv[2:])
    print(f"{tried} regions tried")


if __name__ == "__main__":
    main()
