"""Other people's tools and engines on packages: where the original opened, the front has to open.

The metadata front is the original's graph, so it loses nobody. The function front is for those who read
model-local functions: ONNX Runtime and the tools around ONNX; an engine that refuses functions refuses it,
and that is said here, consumer by consumer.
"""
import json
import pathlib
import shutil
import subprocess
import unittest

import numpy as np
import onnx
import onnxruntime as ort

import bctx
import cases
import sample_models

HERE = pathlib.Path(__file__).parent
CONSUMERS = bctx.DEPS / "consumers"
PYTHON = CONSUMERS / "bin" / "python"

# Engines of their own, and spox: none of them reads functions.
WITHOUT_FUNCTIONS = ["openvino", "opencv", "tract", "spox"]
WITH_FUNCTIONS = ["onnxslim", "onnxsim", "onnx_ir", "onnxscript", "graphsurgeon", "onnx_checker",
                  "onnx_shapes", "onnx_inliner", "onnx_reference", "ort_shapes"]
# Drops functions and keeps their calls.
LOSES_FUNCTIONS = ["onnx_versions"]


def stock(path, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feeds)


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(bctx.folder())
        user = bctx.User(cls.folder / "home")
        model = sample_models.decomposed()
        cls.original = cls.folder / "original.onnx"
        onnx.save(model, cls.original)
        cls.feeds = sample_models.feeds(model)
        cls.inputs = cls.folder / "inputs.npz"
        np.savez(cls.inputs, **cls.feeds)
        user.ok("bctx-pack", "pack", cls.original, "-o", cls.folder / "package.onnx", "--encoding", "both", "--target",
                "host")
        cls.functions, cls.metadata = cls.folder / "package.onnx", cls.folder / "package.flat.onnx"
        cls.expected = stock(cls.original, cls.feeds)
        cls.user = user

    taken = {}

    def take(self, consumer, model):
        """The same, each pair tried once."""
        if (consumer, model) not in self.taken:
            self.taken[consumer, model] = self.try_out(consumer, model)
        return self.taken[consumer, model]

    def try_out(self, consumer, model):
        """What became of `model` in `consumer`: "right", "wrong", or the words of its refusal."""
        out = self.folder / f"{consumer}-{model.stem}"
        done = self.user.run(PYTHON, HERE / "worker.py", consumer, model, self.inputs, out, cwd=self.folder)
        if done.returncode != 0:
            return f"refused: {(done.stderr.strip().splitlines() or ['no words'])[-1][:160]}"
        if pathlib.Path(f"{out}.npz").exists():
            found = list(np.load(f"{out}.npz").values())
        elif pathlib.Path(f"{out}.onnx").exists():
            try:
                found = stock(f"{out}.onnx", self.feeds)
            except Exception as error:
                return f"lost: {str(error)[:160]}"
        else:
            return "right"
        same = all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(found, self.expected))
        return "right" if same else "wrong"

    def test_the_metadata_front_loses_nobody(self):
        """the metadata front opens in every consumer that opens the original, with the same numbers"""
        taken = 0
        for consumer in WITHOUT_FUNCTIONS + WITH_FUNCTIONS + LOSES_FUNCTIONS:
            with self.subTest(consumer):
                before = self.take(consumer, self.original)
                after = self.take(consumer, self.metadata)
                taken += before == "right"
                if before == "right":
                    self.assertEqual(after, "right")
        self.assertGreaterEqual(taken, 13, "hardly a consumer takes the original: is the installation whole?")

    def test_the_function_front_opens_where_functions_are_read(self):
        """the function front opens in every consumer that reads functions, with the same numbers"""
        for consumer in WITH_FUNCTIONS:
            with self.subTest(consumer):
                self.assertEqual(self.take(consumer, self.original), "right")
                self.assertEqual(self.take(consumer, self.functions), "right")

    def test_engines_without_functions_say_so(self):
        """an engine that does not read functions refuses the function front and gives no wrong numbers"""
        for consumer in WITHOUT_FUNCTIONS:
            with self.subTest(consumer):
                self.assertRegex(self.take(consumer, self.functions), "^(right|refused)")

    def test_what_a_tool_made_of_a_front_is_no_package_that_runs_code(self):
        """what onnxslim writes is run, and its calls are either untouched or stale"""
        self.assertEqual(self.take("onnxslim", self.functions), "right")
        slimmed = self.folder / f"onnxslim-{self.functions.stem}.onnx"
        done = self.user.run("bctx-inspect", "verify", slimmed)
        self.assertIn(done.returncode, (0, 4), done.stdout + done.stderr)

    def test_netron(self):
        """netron's parser reads both fronts: nodes, functions, tensors"""
        node = shutil.which("node")
        if node is None:
            self.skipTest("no node program is installed")
        netron = next((CONSUMERS / "lib").glob("python*/site-packages/netron"))
        for path in (self.functions, self.metadata):
            done = subprocess.run([node, HERE / "netron_worker.mjs", netron, path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            seen, model = json.loads(done.stdout), onnx.load(path, load_external_data=False)
            self.assertEqual(seen["nodes"], len(model.graph.node))
            self.assertEqual(seen["functions"], [f.name for f in model.functions])
            self.assertEqual(seen["initializers"], [t.name for t in model.graph.initializer])
            self.assertIn("backendctx.front", seen["metadata"])


if __name__ == "__main__":
    cases.main()
