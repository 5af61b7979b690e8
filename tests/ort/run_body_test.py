"""bctx-run-body: a body model on ONNX Runtime, request and response as in backends/proof/proof_file.h."""
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper

import cases

BUILD = pathlib.Path(os.environ["BCTX_BUILD"])
DEPS = pathlib.Path(os.environ["BCTX_DEPS"])
RUNNER = BUILD / "bin" / "bctx-run-body"
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.bool_): 9}


def text(value):
    return struct.pack("<Q", len(value)) + value


def tensor(array):
    dims = struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape)
    return struct.pack("<i", TYPES[array.dtype]) + dims + text(array.tobytes())


def request(model, cases_of_inputs, outputs):
    out = b"BCTXPRQ2" + text(model) + text(b"") + struct.pack("<II", 0, 1) + text(b"") + struct.pack("<I", 0)
    out += struct.pack("<I", outputs) + struct.pack("<i", 1) * outputs
    out += struct.pack("<I", len(cases_of_inputs))
    for inputs in cases_of_inputs:
        out += struct.pack("<I", len(inputs)) + b"".join(tensor(i) for i in inputs)
    return out


def read_response(data):
    assert data[:8] == b"BCTXPRS1"
    at = 8

    def number(kind):
        nonlocal at
        value, = struct.unpack_from("<" + kind, data, at)
        at += struct.calcsize("<" + kind)
        return value

    def one_tensor():
        nonlocal at
        kind = {number_: dtype for dtype, number_ in TYPES.items()}[number("i")]
        dims = [number("q") for _ in range(number("I"))]
        size = number("Q")
        array = np.frombuffer(data, kind, count=size // kind.itemsize, offset=at).reshape(dims)
        at += size
        return array

    result = [[one_tensor() for _ in range(number("I"))] for _ in range(number("I"))]
    assert at == len(data)
    return result


def body():
    """Two inputs, two outputs, lengths known at run time only."""
    a = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 4])
    b = helper.make_tensor_value_info("b", TensorProto.FLOAT, [4])
    total = helper.make_tensor_value_info("total", TensorProto.FLOAT, ["n", 4])
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["total"], name="add"),
                               helper.make_node("Shape", ["a"], ["shape"], name="shape_of")],
                              "body", [a, b], [total, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class RunBody(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_it(self, data, library):
        (self.folder / "in").write_bytes(data)
        return subprocess.run([RUNNER, library, self.folder / "in", self.folder / "out"],
                              capture_output=True, text=True)

    def test_every_case_is_run_in_order(self):
        """every case of a request is run, in both oldest and newest ONNX Runtime"""
        rng = np.random.default_rng(1)
        inputs = [[rng.standard_normal((n, 4), dtype=np.float32), rng.standard_normal(4, dtype=np.float32)]
                  for n in (1, 3, 0)]
        for version in ("1.23.2", "1.31.1"):
            done = self.run_it(request(body(), inputs, 2), DEPS / "ort" / version)
            self.assertEqual(done.returncode, 0, done.stderr)
            outputs = read_response((self.folder / "out").read_bytes())
            self.assertEqual(len(outputs), 3)
            for (a, b), (total, shape) in zip(inputs, outputs):
                np.testing.assert_array_equal(total, a + b)
                np.testing.assert_array_equal(shape, a.shape)

    def test_wrong_input_count(self):
        """a case with too few inputs is named"""
        done = self.run_it(request(body(), [[np.zeros((1, 4), np.float32)]], 2), DEPS / "ort" / "1.31.1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("case 0: the case has 1 inputs, expected 2", done.stderr)
        self.assertFalse((self.folder / "out").exists())

    def test_wrong_type(self):
        """an input of another element type is refused with ONNX Runtime's words"""
        ints = [np.zeros((1, 4), np.int64), np.zeros(4, np.float32)]
        done = self.run_it(request(body(), [ints], 2), DEPS / "ort" / "1.31.1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("case 0: onnxruntime: ", done.stderr)

    def test_truncated_request(self):
        """a request that is cut off anywhere is refused"""
        whole = request(body(), [[np.zeros((1, 4), np.float32), np.zeros(4, np.float32)]], 2)
        for size in range(0, len(whole), 37):
            done = self.run_it(whole[:size], DEPS / "ort" / "1.31.1")
            self.assertEqual(done.returncode, 1)
            self.assertIn("is no request", done.stderr)

    def test_no_model(self):
        """bytes that are no model are refused"""
        done = self.run_it(request(b"\xff\xff", [], 0), DEPS / "ort" / "1.31.1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("onnxruntime: ", done.stderr)

    def test_library(self):
        """a library that is missing, is not ONNX Runtime or is too old is named"""
        data = request(body(), [], 2)
        (self.folder / "empty").mkdir()
        for library, words in ((self.folder / "none.so", "none.so: "),
                               (self.folder / "empty", "has no libonnxruntime.so"),
                               (BUILD / "tests" / "plugin" / "fakes" / "libbctx_fake_good.so", "is not ONNX Runtime")):
            done = self.run_it(data, library)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)

    def test_usage(self):
        """without its three arguments it prints them"""
        done = subprocess.run([RUNNER], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage: bctx-run-body ORT_LIBRARY REQUEST RESPONSE", done.stderr)


if __name__ == "__main__":
    cases.main()
