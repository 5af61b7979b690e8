"""What the tests of the provider share: packages made once, sessions with the provider, what a report must say."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime as ort

import models

PROVIDER = "BackendContextExecutionProvider"


def set_up():
    global ROOT, HOME, OTHER_HOME
    os.environ.pop("XDG_CONFIG_HOME", None)
    ROOT = pathlib.Path(tempfile.mkdtemp(prefix="bctx-provider-"))
    unittest.addModuleCleanup(shutil.rmtree, ROOT)
    HOME, OTHER_HOME = ROOT / "home", ROOT / "other"
    HOME.mkdir()
    OTHER_HOME.mkdir()
    ort.register_execution_provider_library("backendctx", str(models.PROVIDER_LIBRARY))
    ort.set_default_logger_severity(4)


def plain(path, level=None):
    options = ort.SessionOptions()
    if level is not None:
        options.graph_optimization_level = level
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def provided(model, home=None, entries=(), level=None, **options):
    """A session with the provider; underscores that options do not have are written as hyphens."""
    os.environ["HOME"] = str(home or HOME)
    session_options = ort.SessionOptions()
    if level is not None:
        session_options.graph_optimization_level = level
    session_options.log_severity_level = 4
    for key, value in entries:
        session_options.add_session_config_entry(key, value)
    devices = [d for d in ort.get_ep_devices() if d.ep_name == PROVIDER]
    assert len(devices) == 1
    session_options.add_provider_for_devices(devices, {k.replace("require_proof", "require-proof"): str(v)
                                                       for k, v in options.items()})
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), session_options)


class Packages(unittest.TestCase):
    """Packages are made once for all tests; a test that damages one works on a copy."""
    made = {}

    @classmethod
    def package(cls, name, *flags):
        key = (name, flags)
        if key not in Packages.made:
            folder = pathlib.Path(tempfile.mkdtemp(dir=ROOT))
            Packages.made[key] = models.pack(getattr(models, name)(), folder, "model", HOME, *flags)
        return Packages.made[key]

    def copy(self, name, *flags):
        front, container = self.package(name, *flags)
        folder = pathlib.Path(tempfile.mkdtemp(dir=ROOT))
        return pathlib.Path(shutil.copy(front, folder)), pathlib.Path(shutil.copy(container, folder))

    def linked(self, name, *flags):
        """The front as a model cache has it: links into one folder of contents."""
        files = self.package(name, *flags)
        folder = pathlib.Path(tempfile.mkdtemp(dir=ROOT))
        contents, snapshot = folder / "blobs", folder / "snapshots"
        contents.mkdir()
        snapshot.mkdir()
        for file in files:
            shutil.copy(file, contents / f"content-{file.suffix[1:]}")
            (snapshot / file.name).symlink_to(contents / f"content-{file.suffix[1:]}")
        return snapshot / files[0].name

    def flip(self, container, at):
        """Changes one byte."""
        data = bytearray(container.read_bytes())
        data[at] ^= 1
        container.write_bytes(data)

    def flip_code(self, container):
        self.flip(container, container.read_bytes().index(b"\x7fELF\x02") + 200)

    def flip_weight(self, container, front):
        tensor = next(t for t in onnx.load(front, load_external_data=False).graph.initializer if t.external_data)
        where = {e.key: e.value for e in tensor.external_data}
        self.flip(container, int(where["offset"]) + int(where["length"]) // 2)

    def report(self, model, **options):
        path = pathlib.Path(tempfile.mkdtemp(dir=ROOT)) / "report.json"
        session = provided(model, report=path, **options)
        return session, json.loads(path.read_text())

    def assert_compiled(self, report, count):
        self.assertEqual((report["observed"]["compiled"], report["observed"]["interpreted"]), (count, 0), report)

    def assert_interpreted(self, report, count, reason, words=""):
        observed = report["observed"]
        self.assertEqual((observed["compiled"], observed["interpreted"]), (0, count), report)
        for call in observed["calls"]:
            self.assertEqual(call["ran"], "interpreted")
            self.assertTrue(call["reason"].startswith(reason + ": "), call)
            self.assertIn(words, call["reason"])
        for decision in report["decisions"]:
            self.assertNotEqual(decision["outcome"], "chosen")
        self.assertIn(reason, {d["reason"] for d in report["decisions"]})

    def assert_same_bytes(self, session, path, feeds):
        for found, expected in zip(session.run(None, feeds), plain(path).run(None, feeds)):
            np.testing.assert_array_equal(found, expected)

    def assert_near(self, session, path, feeds):
        for found, expected in zip(session.run(None, feeds), plain(path).run(None, feeds)):
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)

    def assert_refused(self, words, model, **options):
        with self.assertRaises(Exception) as raised:
            provided(model, **options)
        for word in words:
            self.assertIn(word, str(raised.exception))
