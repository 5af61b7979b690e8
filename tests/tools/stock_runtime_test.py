"""A package is still the ONNX model that it was made from: stock runtimes, onnx's checker, restore."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime as ort

import bctx
import cases
import sample_models

sys.path.insert(0, str(bctx.SOURCE / "demo"))
import models as demo_models  # noqa: E402

LEVELS = {"disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL, "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}
PACKAGES = bctx.DEPS / "models"

# Runs under another release of ONNX Runtime: its arguments are model, inputs, outputs.
OLD_RUNTIME = """
import sys, numpy as np, onnxruntime as ort
assert ort.__version__ == sys.argv[4], ort.__version__
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
np.savez(sys.argv[3], *session.run(None, dict(np.load(sys.argv[2]))))
"""


def outputs(path, feeds, level=LEVELS["all"], threads=1):
    options = ort.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads = level, threads
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def old_outputs(version, path, feeds, place):
    inputs, result = place / "inputs.npz", place / "outputs.npz"
    np.savez(inputs, **feeds)
    environment = {**os.environ, "PYTHONPATH": str(bctx.DEPS / "ort" / version / "python")}
    subprocess.run([sys.executable, "-c", OLD_RUNTIME, path, inputs, result, version], env=environment, check=True,
                   capture_output=True)
    loaded = np.load(result)
    return [loaded[name] for name in loaded.files]


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="bctx-stock-"))
        cls.user = bctx.User(cls.place / "home")
        cls.made = {}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.place)

    def sample(self, name, model):
        """(original, package) of a small model."""
        if name not in self.made:
            original, package = self.place / f"{name}.onnx", self.place / f"{name}.package.onnx"
            onnx.save(model, original)
            self.user.ok("bctx-pack", "pack", original, "-o", package, "--target", "host")
            self.made[name] = original, package
        return self.made[name]

    def real(self, name):
        """(original, package) of a model of the demo."""
        if not PACKAGES.exists():
            self.skipTest("the demo's models are not there: scripts/setup --models")
        if name not in self.made:
            original = demo_models.fetch(PACKAGES, bctx.BUILD / "demo" / "models")[name]
            package = self.place / f"{name}.package.onnx"
            self.user.ok("bctx-pack", "pack", original, "-o", package, "--target", "host")
            self.made[name] = original, package
        return self.made[name]

    def assertSameBits(self, found, expected, what=""):
        self.assertEqual(len(found), len(expected))
        for a, b in zip(found, expected):
            self.assertEqual((a.dtype, a.shape), (b.dtype, b.shape), what)
            self.assertEqual(a.tobytes(), b.tobytes(), what)

    def everywhere(self, original, package, feeds):
        for (level, value), threads in [(item, n) for item in LEVELS.items() for n in (1, 2)]:
            with self.subTest(level=level, threads=threads):
                self.assertSameBits(outputs(package, feeds, value, threads),
                                    outputs(original, feeds, value, threads))

    def samples(self):
        return {"decomposed": sample_models.decomposed(), "operator": sample_models.operator(),
                "branches": sample_models.branches(), "plain": sample_models.without_attention()}

    def test_small_models_give_the_same_bits_at_every_level_with_one_and_two_threads(self):
        for name, model in self.samples().items():
            with self.subTest(model=name):
                self.everywhere(*self.sample(name, model), sample_models.feeds(model))

    def test_small_models_pass_the_full_check_by_path(self):
        for name, model in self.samples().items():
            with self.subTest(model=name):
                _, package = self.sample(name, model)
                onnx.checker.check_model(str(package), full_check=True)

    def test_small_models_are_restored_with_the_same_graph(self):
        for name, model in self.samples().items():
            with self.subTest(model=name):
                original, package = self.sample(name, model)
                restored = self.place / f"{name}.restored.onnx"
                self.user.ok("bctx-pack", "restore", package, "-o", restored)
                self.assertEqual(onnx.load(restored).SerializeToString(deterministic=True),
                                 onnx.load(original).SerializeToString(deterministic=True))

    def test_a_model_with_external_data_is_packed_and_restored(self):
        model = sample_models.decomposed()
        original, package = self.place / "external.onnx", self.place / "external.package.onnx"
        sample_models.save_external(model, original, "external.bin")
        self.user.ok("bctx-pack", "pack", original, "-o", package, "--target", "host")
        feeds = sample_models.feeds(model)
        self.assertSameBits(outputs(package, feeds), outputs(original, feeds))
        restored = self.place / "external.restored.onnx"
        self.user.ok("bctx-pack", "restore", package, "-o", restored)
        self.assertSameBits(outputs(restored, feeds), outputs(original, feeds))

    def test_packing_twice_gives_the_same_bytes(self):
        model = sample_models.decomposed()
        original = self.place / "twice.onnx"
        onnx.save(model, original)
        made = []
        for folder in ("one", "two"):
            (self.place / folder).mkdir()
            self.user.ok("bctx-pack", "pack", original, "-o", self.place / folder / "p.onnx")
            made.append({p.name: p.read_bytes() for p in (self.place / folder).iterdir()})
        self.assertEqual(made[0].keys(), made[1].keys())
        self.assertTrue(made[0] == made[1])

    def test_older_runtimes_run_small_packages_with_the_same_bits(self):
        model = sample_models.decomposed()
        original, package = self.sample("decomposed", model)
        for version in ("1.18.1", "1.23.2"):
            with self.subTest(version=version):
                feeds = sample_models.feeds(model)
                self.assertSameBits(old_outputs(version, package, feeds, self.place),
                                    old_outputs(version, original, feeds, self.place))

    def real_model(self, name):
        original, package = self.real(name)
        onnx.checker.check_model(str(package), full_check=True)
        feeds = demo_models.feeds(ort.InferenceSession(str(original), providers=["CPUExecutionProvider"]), 2, 24)
        self.everywhere(original, package, feeds)
        for version in ("1.18.1", "1.23.2"):
            with self.subTest(version=version):
                self.assertSameBits(old_outputs(version, package, feeds, self.place),
                                    old_outputs(version, original, feeds, self.place))

    def test_minilm_l3_is_checked_and_gives_the_same_bits_everywhere(self):
        self.real_model("minilm-l3")

    def test_minilm_l6_is_checked_and_gives_the_same_bits_everywhere(self):
        self.real_model("minilm-l6-fp32")


if __name__ == "__main__":
    cases.main()
