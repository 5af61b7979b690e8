"""Weights beyond memory: packed, verified, run and given back in pieces.

With BCTX_TEST_LONG one tensor is larger than protobuf's limit, which only external data can be. Its file is a hole but
for a few numbers, so making it costs nothing; what packing and restoring write is as large as it says, and so the usual
run takes a tenth.
"""
import os
import unittest

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

import bctx
import cases

LONG = bool(os.environ.get("BCTX_TEST_LONG"))
HUGE = (2200 if LONG else 220) * 2**20  # bytes of the first tensor
PIECE = 8 * 2**20                       # of the others
MARKS = {0: 7, HUGE // 2: 8, HUGE - 1: 9}
DATA = 128 * 2**10                      # KiB that the system lets a command allocate, whatever the weights are
LIMITED = ["sh", "-c", f'ulimit -d {DATA} && exec "$@"', "sh"]



def make(path):
    """Four tensors in one file: the huge one, two equal ones, another one. The model picks elements of each."""
    rows = {"huge": (0, HUGE), "a": (HUGE, PIECE), "same": (HUGE + PIECE, PIECE), "b": (HUGE + 2 * PIECE, PIECE)}
    with open(path.parent / "weights.bin", "wb") as file:
        for at, value in MARKS.items():
            file.seek(at)
            file.write(bytes([value]))
        for name, value in (("a", 1), ("same", 1), ("b", 2)):
            file.seek(rows[name][0])
            file.write(bytes([value]) * PIECE)
    tensors, nodes = [], []
    for name, (offset, size) in rows.items():
        tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[size], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "weights.bin"), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
        nodes.append(helper.make_node("Gather", [name, "i" if name == "huge" else "j"], [f"{name}_picked"]))
    nodes.append(helper.make_node("Concat", [node.output[0] for node in nodes], ["y"], axis=0))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in ("i", "j")]
    graph = helper.make_graph(nodes, "huge", inputs, [helper.make_tensor_value_info("y", TensorProto.UINT8, [None])],
                              tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def picked(path):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"i": np.array(list(MARKS)), "j": np.array([0, PIECE - 1])})[0].tolist()


def decoded(path):
    """name -> the bytes of an initializer, mapped."""
    tensors = {}
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}
        tensors[tensor.name] = np.memmap(path.parent / where["location"], np.uint8, "r", int(where["offset"]),
                                         int(where["length"])) if where else np.frombuffer(tensor.raw_data, np.uint8)
    return tensors


class LargeModels(unittest.TestCase):
    def test_weights_beyond_memory(self):
        """a model with weights beyond memory is packed, verified, run and given back in pieces"""
        with bctx.folder() as place:
            user = bctx.User(place / "home")
            model, package, restored = (place / name for name in ("model.onnx", "package.onnx", "restored.onnx"))
            make(model)
            user.ok(*LIMITED, "bctx-pack", "pack", model, "-o", package, "--no-sign")
            user.ok(*LIMITED, "bctx-inspect", "verify", package, "--allow-unsigned")
            expected = list(MARKS.values()) + [1, 1, 1, 1, 2, 2]
            self.assertEqual(picked(package), expected)
            if LONG:  # below protobuf's limit what comes back holds its weights, and so does memory
                user.ok(*LIMITED, "bctx-pack", "restore", package, "-o", restored)
                self.assertTrue((place / "restored.onnx.data").exists())
            else:
                user.ok("bctx-pack", "restore", package, "-o", restored)
            for path in place.glob("*.bctx"):  # what was restored needs nothing of the package
                path.unlink()
            self.assertEqual(picked(restored), expected)
            before, after = decoded(model), decoded(restored)
            self.assertEqual(list(before), list(after))
            for name, tensor in before.items():
                self.assertTrue(np.array_equal(tensor, after[name]), name)


if __name__ == "__main__":
    cases.main()
