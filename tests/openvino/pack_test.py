"""Packages whose contexts OpenVINO compiled, through the tools and in ONNX Runtime."""
import pathlib
import unittest

import numpy
import onnx
import onnxruntime

import bctx
import cases
import layers
import openvino_test


@unittest.skipUnless(openvino_test.PLUGIN.exists(), openvino_test.WHY_NOT)
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        context = bctx.folder()
        cls.place = pathlib.Path(context.__enter__())
        cls.addClassCleanup(context.__exit__, None, None, None)
        cls.user = bctx.User(cls.place / "home")
        cls.model = layers.block()
        onnx.save(cls.model, cls.place / "block.onnx")
        cls.package = cls.place / "package.onnx"
        cls.packed = cls.user.json("bctx-pack", "pack", cls.place / "block.onnx", "-o", cls.package, "--backend", "openvino",
                                   "--target", "host")

    def test_the_layer_is_one_proved_context_for_this_host_that_points_at_its_weights(self):
        contexts = self.packed["contexts"]
        self.assertEqual([c["proof"] for c in contexts], ["passed"], self.packed)
        shown = self.user.json("bctx-inspect", "show", self.package)
        partition, = [p for scope in shown["scopes"] for p in scope["partitions"]]
        self.assertEqual(partition["nodes"], len(self.model.graph.node))
        context, = partition["contexts"]
        self.assertEqual((context["weights"], context["verdict"]), ("offset", "optimal"))
        self.assertIn("vendor.openvino", [r["key"] for r in context["requirements"]])

    def test_it_runs_compiled_in_onnx_runtime_and_stays_the_model_without_us(self):
        ran = self.user.json("bctx-inspect", "run", self.package, "--compare")
        self.assertEqual(ran["report"]["observed"]["compiled"], 1)
        inputs = layers.inputs_of(self.model, {"batch": 2, "length": 9})
        plain = onnxruntime.InferenceSession(str(self.package), providers=["CPUExecutionProvider"])
        expected, = openvino_test.reference(self.model, inputs)
        numpy.testing.assert_allclose(plain.run(None, inputs)[0], expected, rtol=1e-4, atol=1e-4)

    def test_packing_twice_gives_the_same_bytes(self):
        again = self.place / "again"
        again.mkdir()
        self.user.ok("bctx-pack", "pack", self.place / "block.onnx", "-o", again / "package.onnx", "--backend", "openvino",
                     "--target", "host")
        self.assertEqual((again / "package.onnx").read_bytes(), self.package.read_bytes())


if __name__ == "__main__":
    cases.main()
