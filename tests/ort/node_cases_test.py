"""The onnx package's own cases of Attention and FlexAttention, packed and run: compiled, interpreted or legalised.

Three kinds of outcome are fine: what stock ONNX Runtime runs runs the same from the package; what it refuses
runs from the package as a decomposition and gives the answer that onnx computes; nothing else occurs.
"""
import concurrent.futures
import ctypes
import json
import os
import pathlib
import unittest
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto
from onnx.backend.test.case.node import collect_testcases

import bctx
import cases

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of cases of other operators
    ALL = [c for c in collect_testcases(None) if "expanded" not in c.name and
           c.model.graph.node and c.model.graph.node[0].op_type in ("Attention", "FlexAttention")]


def is_brain(info):
    return info.type.tensor_type.elem_type == TensorProto.BFLOAT16


def given(info, array):
    array = np.ascontiguousarray(array)
    if is_brain(info):
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)
    return ort.OrtValue.ortvalue_from_numpy(array)


def taken(value):
    if value.element_type() != TensorProto.BFLOAT16:
        return value.numpy().astype(np.float64)
    raw = (ctypes.c_uint16 * int(np.prod(value.shape()))).from_address(value.data_ptr())
    return (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(value.shape()).astype(
        np.float64)


def answers(session, case):
    inputs, _ = case.data_sets[0]
    feeds = {info.name: given(info, array) for info, array in zip(case.model.graph.input, inputs)}
    return [taken(value) for value in session.run_with_ort_values(None, feeds)]


def agree(found, case):
    _, outputs = case.data_sets[0]
    for info, array, expected in zip(case.model.graph.output, found, outputs):
        # onnx's own tolerance is out of reach for a result that is rounded to bfloat16 once.
        rtol, atol = (2e-2, 1e-2) if is_brain(info) else (1e-3, 1e-5)
        if not np.allclose(array, np.asarray(expected).astype(np.float64), rtol, atol, equal_nan=True):
            return False
    return True


def plain(path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class NodeCases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(bctx.folder())
        cls.user = bctx.User(cls.folder / "home")
        cls.enterClassContext(cls.user.at_the_keyboard())
        cls.user.ok("bctx-pack", "keygen", "-o", cls.folder / "key")
        cls.user.ok("bctx-pack", "trust", "add", cls.folder / "key.pub", "--yes")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            cls.reports = dict(zip((c.name for c in ALL), pool.map(cls.pack, ALL)))

    @classmethod
    def pack(cls, case):
        onnx.save(case.model, cls.folder / f"{case.name}.onnx")
        return cls.user.json("bctx-pack", "pack", cls.folder / f"{case.name}.onnx", "-o", cls.package(case),
                             "--key", cls.folder / "key", "--target", "host")

    @classmethod
    def package(cls, case):
        return cls.folder / f"{case.name}.package.onnx"

    @staticmethod
    def stock(path, case):
        """The answers of stock ONNX Runtime, None where it refuses."""
        try:
            return answers(plain(path), case)
        except Exception:
            return None

    def test_every_case_runs_as_the_original_or_legalised(self):
        """every node case of Attention and FlexAttention runs from its package, in stock runtimes and with the provider"""
        refused = 0
        for case in ALL:
            with self.subTest(case.name):
                before = self.stock(self.folder / f"{case.name}.onnx", case)
                report = self.reports[case.name]
                self.assertEqual(report["unrunnable"], [])
                self.assertEqual(bool(report["legalized"]), before is None)
                refused += before is None
                stock = answers(plain(self.package(case)), case)
                session, observed = bctx.observed(self.package(case))
                provided = answers(session, case)
                if before is None:
                    self.assertTrue(agree(stock, case))
                    self.assertTrue(agree(provided, case))
                    continue
                for a, b, c in zip(before, stock, provided):
                    np.testing.assert_array_equal(a, b)
                    np.testing.assert_allclose(a, c, rtol=1e-3, atol=1e-5)
                chosen = [d for d in observed["decisions"] if d["outcome"] == "chosen"]
                self.assertTrue(chosen or report["not_taken"], "interpreted without a reason")
        self.assertGreater(len(ALL), 100)
        self.assertGreater(refused, 20)

    def test_legalised_packages_verify_and_give_the_original_back(self):
        """a legalised package verifies, and restore gives the operator back"""
        for case in ALL:
            if not self.reports[case.name]["legalized"]:
                continue
            with self.subTest(case.name):
                self.user.ok("bctx-inspect", "verify", self.package(case))
                restored = self.folder / f"{case.name}.restored.onnx"
                self.user.ok("bctx-pack", "restore", self.package(case), "-o", restored)
                self.assertEqual(onnx.load(restored), onnx.load(self.folder / f"{case.name}.onnx"))

    def test_never_leaves_them_alone(self):
        """--legalize never keeps the operator, and says nothing was legalised"""
        case = next(c for c in ALL if self.reports[c.name]["legalized"])
        out = self.folder / "never.onnx"
        report = self.user.json("bctx-pack", "pack", self.folder / f"{case.name}.onnx", "-o", out, "--no-sign",
                                "--legalize", "never")
        self.assertEqual(report["legalized"], [])
        self.assertEqual([n.op_type for n in onnx.load(out, load_external_data=False).graph.node],
                         [n.op_type for n in case.model.graph.node])

    def test_an_edited_legal_body_is_found(self):
        """an edited decomposition fails verify"""
        case = next(c for c in ALL if self.reports[c.name]["legalized"])
        edited = self.folder / "edited.onnx"
        model = onnx.load(self.package(case), load_external_data=False)
        model.functions[0].node[0].name += "_edited"
        onnx.save(model, edited)
        done = self.user.run("bctx-inspect", "verify", edited)
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)


if __name__ == "__main__":
    cases.main()
