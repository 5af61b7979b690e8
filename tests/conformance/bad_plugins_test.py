"""A plug-in that breaks the rules is reported by name and left out; packing and running go on without it."""
import unittest

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import bctx
import cases

FAULTY = bctx.BUILD / "tests/conformance/libbctx_faulty.so"
FAKES = bctx.BUILD / "tests/plugin/fakes"


def layer():
    """Three nodes that the reference backend takes, cut by one that it does not."""
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.standard_normal((24, 40), dtype=np.float32), "w")
    shape = numpy_helper.from_array(np.array([-1, 20]), "s")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["t"]),
             helper.make_node("Reshape", ["t", "s"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
    graph = helper.make_graph(nodes, "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 24])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", 20])], [weight, shape])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


class BadPlugins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        context = bctx.folder()
        cls.place = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        cls.user = bctx.User(cls.place / "home")
        cls.model = cls.place / "model.onnx"
        onnx.save(layer(), cls.model)

    def pack(self, fault, *more, backends=("faulty",), plugins=(FAULTY,)):
        package = self.place / f"{fault}.onnx"
        words = [word for path in plugins for word in ("--plugin", path)]
        words += [word for backend in backends for word in ("--backend", backend)]
        done = self.user.run("bctx-pack", "pack", self.model, "-o", package, "--force", *words, "--target", "reference",
                             *more, environment={"BCTX_FAULT": fault})
        return done, " ".join((done.stdout + done.stderr).split()), package

    def test_the_sound_one_is_packed(self):
        done, text, _ = self.pack("none", "--require-context")
        self.assertEqual(done.returncode, 0, text)
        self.assertIn("compiled 2 contexts", text)

    def test_each_fault_leaves_its_code_out_and_the_package_runs(self):
        inputs = {"x": np.random.default_rng(1).standard_normal((6, 24), dtype=np.float32)}
        right = onnxruntime.InferenceSession(str(self.model)).run(None, inputs)[0]
        for fault, said in [("claims-unoffered", "claim 0: names node 4, and 4 were offered"),
                            ("claims-twice", "claim 0: node 0 is claimed twice"),
                            ("claims-all", "constant 's' has no plain float32 data"),
                            ("offer-throws", "offer: threw an exception: no licence"),
                            ("compile-throws", "compile: threw an exception: out of registers"),
                            ("compile-fails", "compile: failed with code 5 and said nothing"),
                            ("empty-blob", "compile: blob: found 0 bytes"),
                            ("malformed-blob", "no blob of version 1"),
                            ("writes-past", "the backend wrote past its output"),
                            ("writes-before", "the backend wrote before its output"),
                            ("not-finite", "differs from the body"),
                            ("wrong", "differs from the body")]:
            with self.subTest(fault=fault):
                done, text, package = self.pack(fault)
                self.assertEqual(done.returncode, 0, text)
                self.assertIn("faulty", text)
                self.assertIn(said, text)
                self.assertEqual(onnxruntime.InferenceSession(str(package)).run(None, inputs)[0].tolist(),
                                 right.tolist())

    def test_others_are_packed_beside_a_faulty_one(self):
        done, text, _ = self.pack("compile-throws", "--require-context", backends=("faulty", "reference"))
        self.assertEqual(done.returncode, 0, text)
        self.assertIn("compiled 2 contexts", text)

    def test_without_any_code_a_required_context_is_missing(self):
        for fault in ("compile-throws", "claims-unoffered", "writes-past"):
            with self.subTest(fault=fault):
                done, text, package = self.pack(fault, "--require-context")
                self.assertEqual(done.returncode, 6, text)

    def test_what_is_no_plug_in_is_named_with_the_reason(self):
        for fake, said in [("no_symbol", "exports no bctx_plugin_query"), ("other_version", "abi_version: found 2"),
                           ("query_throws", "threw an exception")]:
            with self.subTest(fake=fake):
                path = FAKES / f"libbctx_fake_{fake}.so"
                done, text, _ = self.pack("none", backends=("reference",), plugins=(path,))
                self.assertEqual(done.returncode, 2, text)  # a file that the user named
                self.assertIn(path.name, text)
                listed = self.user.ok("bctx-pack", "backends", "--json", "--plugin", path)
                self.assertIn(said, listed)
                self.assertIn(path.name, listed)


if __name__ == "__main__":
    cases.main()
