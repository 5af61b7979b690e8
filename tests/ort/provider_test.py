"""The provider in ONNX Runtime's Python module: what runs compiled, what falls back, what stops."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.transformers.float16 import convert_float_to_float16

import cases
import models

PROVIDER = "BackendContextExecutionProvider"


def setUpModule():
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


def provided(model, home=None, entries=(), **options):
    """A session with the provider; underscores that options do not have are written as hyphens."""
    os.environ["HOME"] = str(home or HOME)
    session_options = ort.SessionOptions()
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


class RunsCompiled(Packages):
    def test_outputs_and_report(self):
        """a trusted package runs compiled, near the plain model, and the report says what ran"""
        front, container = self.package("two_layers", "--target", "host")
        session, report = self.report(front)
        self.assert_compiled(report, 2)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["profile"]["facts"]["arch"], "x86_64")
        self.assertEqual(report["policy"], {"backends": [], "require_proof": False})
        chosen = {d["partition"]: d["context"] for d in report["decisions"] if d["outcome"] == "chosen"}
        self.assertEqual({c["partition"]: c["context"] for c in report["observed"]["calls"]}, chosen)
        self.assertEqual(len(chosen), 2)
        self.assertEqual(report["file"], str(front))
        self.assertEqual(report["observed"]["runtime"], f"ONNX Runtime {ort.__version__}")
        for batch, length in ((1, 1), (2, 19), (3, 200)):
            self.assert_near(session, front, models.inputs(batch, length))

    def test_report_is_of_its_schema(self):
        """the report has what the schema of why requires and nothing of another type"""
        schema = json.loads((pathlib.Path(os.environ["BCTX_SOURCE"]) / "schemas/why.schema.json").read_text())
        _, report = self.report(self.package("two_layers", "--target", "host")[0])
        for key in schema["required"]:
            self.assertIn(key, report)
        for decision in report["decisions"]:
            for key in schema["properties"]["decisions"]["items"]["required"]:
                self.assertIsInstance(decision[key], str)

    def test_all_targets(self):
        """of the contexts of all targets the one that fits this machine best is chosen"""
        front, _ = self.package("two_layers")
        session, report = self.report(front)
        self.assert_compiled(report, 2)
        reasons = {(d["context"], d["reason"]) for d in report["decisions"]}
        self.assertTrue(any(r == "incompatible" for _, r in reasons), reasons)
        self.assert_near(session, front, models.inputs())

    def test_one_value_at_three_operands(self):
        """a value that is several operands at once reaches each of them"""
        front, _ = self.package("one_value_thrice", "--target", "host")
        session, report = self.report(front)
        self.assert_compiled(report, 1)
        self.assert_near(session, front, models.inputs())

    def test_inside_if(self):
        """calls inside the branches of an If run compiled"""
        front, _ = self.package("in_branches", "--target", "host")
        session, report = self.report(front)
        self.assert_compiled(report, 2)
        for flag in (True, False):
            self.assert_near(session, front, {"flag": np.array(flag), **models.inputs()})

    def test_runs_at_the_same_time(self):
        """one session gives the same answers on several threads at once"""
        session = provided(self.package("two_layers", "--target", "host")[0])
        feeds = [models.inputs(1 + i, 7 + 31 * i) for i in range(4)]
        expected = [session.run(None, f)[0] for f in feeds]
        wrong = []

        def work(i):
            for _ in range(20):
                if not np.array_equal(session.run(None, feeds[i])[0], expected[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_levels(self):
        """at every optimisation level of ONNX Runtime the calls are claimed"""
        front, _ = self.package("two_layers", "--target", "host")
        expected = plain(front).run(None, models.inputs())[0]
        for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
                      ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
            options = ort.SessionOptions()
            options.graph_optimization_level = level
            os.environ["HOME"] = str(HOME)
            options.add_provider_for_devices([d for d in ort.get_ep_devices() if d.ep_name == PROVIDER],
                                             {"strict": "1"})
            session = ort.InferenceSession(str(front), options)
            np.testing.assert_allclose(session.run(None, models.inputs())[0], expected, atol=1e-4)

    def test_symlinked_cache(self):
        """a package whose files are links into one folder of contents runs compiled"""
        front, container = self.package("two_layers", "--target", "host")
        folder = pathlib.Path(tempfile.mkdtemp(dir=ROOT))
        contents, snapshot = folder / "blobs", folder / "snapshots"
        contents.mkdir()
        snapshot.mkdir()
        for file in (front, container):
            shutil.copy(file, contents / f"content-{file.suffix[1:]}")
            (snapshot / file.name).symlink_to(contents / f"content-{file.suffix[1:]}")
        _, report = self.report(snapshot / front.name)
        self.assert_compiled(report, 2)


class FallsBack(Packages):
    def test_untrusted(self):
        """a package of somebody else runs interpreted and says so; with the key it runs compiled"""
        front, _ = self.package("two_layers", "--target", "host")
        session, report = self.report(front, home=OTHER_HOME)
        self.assert_interpreted(report, 2, "untrusted", "which is not trusted")
        self.assert_same_bytes(session, front, models.inputs())
        keys = HOME / ".config" / "backendctx" / "trust.d"
        _, report = self.report(front, home=OTHER_HOME, trusted_keys=keys)
        self.assert_compiled(report, 2)

    def test_unsigned(self):
        """an unsigned package runs interpreted"""
        front, _ = self.package("two_layers", "--target", "host", "--no-sign")
        session, report = self.report(front)
        self.assert_interpreted(report, 2, "untrusted")
        self.assert_same_bytes(session, front, models.inputs())

    def test_another_machine(self):
        """a package for aarch64 only runs interpreted here and says why"""
        front, _ = self.package("two_layers", "--target", "aarch64")
        session, report = self.report(front)
        self.assert_interpreted(report, 2, "incompatible", "arch: the host has x86_64, expected aarch64")
        self.assert_same_bytes(session, front, models.inputs())

    def test_unproved(self):
        """contexts that were never tried run with a word about it, and not where proof is required"""
        front, _ = self.package("two_layers", "--target", "host", "--ort", "none")
        session, report = self.report(front)
        self.assert_compiled(report, 2)
        for decision in report["decisions"]:
            self.assertTrue(decision["detail"].startswith("unproved: "), decision)
        self.assert_near(session, front, models.inputs())
        session, report = self.report(front, require_proof=1)
        self.assert_interpreted(report, 2, "unproved", "its proof was not run: ")
        self.assert_same_bytes(session, front, models.inputs())
        proved, _ = self.package("two_layers", "--target", "host")
        _, report = self.report(proved, require_proof=1)
        self.assert_compiled(report, 2)

    def test_converted_to_fp16(self):
        """a front that a tool converted to fp16 is stale"""
        front, _ = self.copy("two_layers", "--target", "host")
        model = onnx.load(front)
        converted = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
        onnx.save(converted, front)
        session, report = self.report(front)
        self.assert_interpreted(report, 2, "stale")
        self.assert_same_bytes(session, front, models.inputs())

    def test_edited_body(self):
        """a front with an edited body is stale and runs what it says"""
        front, _ = self.copy("two_layers", "--target", "host")
        model = onnx.load(front, load_external_data=False)
        for function in model.functions:
            for node in function.node:
                if node.op_type == "Attention":
                    node.attribute.append(onnx.helper.make_attribute("scale", 0.5))
        onnx.save(model, front)
        session, report = self.report(front)
        self.assert_interpreted(report, 2, "stale", "structure digest")
        self.assert_same_bytes(session, front, models.inputs())

    def test_dropped_metadata(self):
        """calls without the property that names the package run interpreted"""
        front, _ = self.copy("two_layers", "--target", "host")
        model = onnx.load(front, load_external_data=False)
        del model.metadata_props[:]
        onnx.save(model, front)
        session, report = self.report(front)
        self.assertEqual(report["observed"]["interpreted"], 2)
        self.assertIn("has no property backendctx.front", report["observed"]["declined"])
        self.assert_same_bytes(session, front, models.inputs())
        self.assert_refused(["strict", "has no property backendctx.front"], front, strict=1)

    def test_from_bytes(self):
        """a model from bytes runs compiled with a note, and interpreted where every byte is asked for"""
        front, _ = self.package("two_layers", "--target", "host")
        data = front.read_bytes()
        entry = ("session.model_external_initializers_file_folder_path", str(front.parent))
        path = ROOT / "bytes-report.json"
        session = provided(data, entries=[entry], report=path, strict=1)
        report = json.loads(path.read_text())
        self.assert_compiled(report, 2)
        self.assertIn("body not checked", report["observed"]["note"])
        self.assert_near(session, front, models.inputs())
        session = provided(data, entries=[entry], report=path, integrity="full")
        report = json.loads(path.read_text())
        self.assertEqual((report["observed"]["compiled"], report["observed"]["interpreted"]), (0, 2))
        self.assertIn("loaded from bytes", report["observed"]["declined"])
        self.assert_same_bytes(session, front, models.inputs())

    def test_other_constant(self):
        """a call whose constant operand has another value is stale, wherever the model came from"""
        front, _ = self.copy("decomposed", "--target", "host")
        entry = ("session.model_external_initializers_file_folder_path", str(front.parent))
        path = ROOT / "constant-report.json"
        provided(front.read_bytes(), entries=[entry], report=path)
        self.assert_compiled(json.loads(path.read_text()), 1)
        model = onnx.load(front, load_external_data=False)
        root = next(t for t in model.graph.initializer if t.name == "root")
        root.CopyFrom(onnx.numpy_helper.from_array(np.array(3.0, np.float32), "root"))
        provided(model.SerializeToString(), entries=[entry], report=path)
        self.assert_interpreted(json.loads(path.read_text()), 1, "stale", "(root) has other values: digest")
        onnx.save(model, front)
        session, report = self.report(front)
        self.assert_interpreted(report, 1, "stale")
        self.assert_same_bytes(session, front, models.inputs())

    def test_from_bytes_of_another_package(self):
        """a model from bytes is not run with the container of another package"""
        front, container = self.copy("two_layers", "--target", "host")
        other = self.package("one_value_thrice", "--target", "host")[1]
        shutil.copy(other, container)
        entry = ("session.model_external_initializers_file_folder_path", str(front.parent))
        with self.assertRaises(Exception) as raised:
            provided(front.read_bytes(), entries=[entry])
        self.assertIn(container.name, str(raised.exception))

    def test_plain_model(self):
        """a model that is no package runs as ever, strict or not"""
        path = ROOT / "plain.onnx"
        onnx.save(models.no_attention(), path)
        session, report = self.report(path, strict=1)
        self.assertEqual(report["decisions"], [])
        self.assert_same_bytes(session, path, models.inputs())

    def test_nothing_to_compile(self):
        """a package without contexts runs as ever, strict or not"""
        front, _ = self.package("no_attention")
        session, report = self.report(front, strict=1)
        self.assertEqual(report["decisions"], [])
        self.assert_same_bytes(session, front, models.inputs())


class Stops(Packages):
    def test_corrupt_code(self):
        """a changed byte in the code that this machine loads stops the session"""
        front, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        self.assert_refused(["corrupt", container.name], front)

    def test_corrupt_weight(self):
        """a changed byte in a weight stops the session where every byte is asked for"""
        front, container = self.copy("two_layers", "--target", "host")
        self.flip_weight(container, front)
        _, report = self.report(front)
        self.assert_compiled(report, 2)
        self.assert_refused(["corrupt"], front, integrity="full")

    def test_full_integrity(self):
        """a sound package passes the check of every byte"""
        _, report = self.report(self.package("two_layers", "--target", "host")[0], integrity="full")
        self.assert_compiled(report, 2)

    def test_corrupt_head(self):
        """a changed byte in the container's head stops the session"""
        front, container = self.copy("two_layers", "--target", "host")
        self.flip(container, 100)
        self.assert_refused(["BackendContext: "], front)

    def test_missing_container(self):
        """a package without its container stops the session with the name of what is missing"""
        front, container = self.copy("one_value_thrice", "--target", "host")
        container.unlink()
        self.assert_refused([container.name], front)

    def test_strict(self):
        """strict takes what runs compiled and stops what would fall back, with the reason"""
        front, _ = self.package("two_layers", "--target", "host")
        _, report = self.report(front, strict=1)
        self.assert_compiled(report, 2)
        self.assert_refused(["strict", "untrusted"], front, home=OTHER_HOME, strict=1)
        foreign, _ = self.package("two_layers", "--target", "aarch64")
        self.assert_refused(["strict", "incompatible", "expected aarch64"], foreign, strict=1)

    def test_inside_if(self):
        """what stops a session does so where all nodes lie in branches as well"""
        front, container = self.copy("in_branches", "--target", "host")
        self.assert_refused(["provider option stict: is not known"], front, stict=1)
        self.assert_refused(["strict", "untrusted"], front, strict=1, home=OTHER_HOME)
        self.flip_code(container)
        self.assert_refused(["corrupt", container.name], front)

    def test_unknown_option(self):
        """an unknown option stops the session and names the known ones, for a plain model too"""
        path = ROOT / "plain-for-options.onnx"
        onnx.save(models.no_attention(), path)
        for model in (self.package("two_layers", "--target", "host")[0], path):
            self.assert_refused(["provider option stict: is not known", "strict", "trusted_keys"], model, stict=1)
            self.assert_refused(["provider option strict: found 'maybe', expected 1 or 0"], model, strict="maybe")

    def test_options_of_backends(self):
        """an option of a backend that is not there, or that it does not take, stops the session"""
        front, _ = self.package("two_layers", "--target", "host")
        self.assert_refused(["there is no backend nobody; known are cpu-attention"], front, **{"nobody.key": 1})
        self.assert_refused(["cpu-attention.speed: is not known"], front, **{"cpu-attention.speed": 1})

    def test_damaged_key(self):
        """a key in the trust folder that cannot be read stops the session of a package and is named"""
        front, _ = self.package("two_layers", "--target", "host")
        home = pathlib.Path(tempfile.mkdtemp(dir=ROOT))
        keys = home / ".config" / "backendctx" / "trust.d"
        keys.mkdir(parents=True)
        (keys / "broken.pub").write_text("no key\n")
        self.assert_refused(["malformed", "broken.pub"], front, home=home)

    def test_keys_that_are_not_there(self):
        """a trusted key that does not exist stops the session"""
        front, _ = self.package("two_layers", "--target", "host")
        self.assert_refused(["/nonexistent/key.pub: there is no such file"], front,
                            trusted_keys="/nonexistent/key.pub")

    def test_report_that_cannot_be_written(self):
        """a report that cannot be written stops the session"""
        front, _ = self.package("two_layers", "--target", "host")
        self.assert_refused(["provider option report"], front, report="/nonexistent/folder/report.json")

    def test_the_report_tells_the_error(self):
        """the report of a session that was stopped says why"""
        path = ROOT / "error-report.json"
        front, _ = self.package("two_layers", "--target", "aarch64")
        self.assert_refused(["strict"], front, strict=1, report=path)
        self.assertIn("strict", json.loads(path.read_text())["observed"]["error"])


def runtime_file(version):
    return next((models.DEPS / "ort" / version).glob("libonnxruntime.so*"))


class OtherHosts(Packages):
    def sample(self, version, front, *options, home=None):
        command = [models.BUILD / "bin" / "run_package", runtime_file(version), models.PROVIDER_LIBRARY, front]
        return subprocess.run([*command, *options], env={**os.environ, "HOME": str(home or HOME)},
                              capture_output=True, text=True)

    def test_cpp_host(self):
        """the C++ sample runs a package compiled in the oldest and the newest ONNX Runtime"""
        front, _ = self.package("two_layers", "--target", "host")
        for version in ("1.23.2", "1.31.1"):
            done = self.sample(version, front, "strict=1")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("BackendContext: 2 compiled, 0 interpreted", done.stdout)
            self.assertIn("y: ", done.stdout)

    def test_cpp_host_unproved(self):
        """the C++ sample says how much of the compiled is unproved"""
        front, _ = self.package("two_layers", "--target", "host", "--ort", "none")
        done = self.sample("1.31.1", front)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("BackendContext: 2 compiled, 0 interpreted; 2 of the compiled unproved", done.stdout)

    def test_cpp_host_untrusted(self):
        """the C++ sample says what falls back"""
        front, _ = self.package("two_layers", "--target", "host")
        for version in ("1.23.2", "1.31.1"):
            done = self.sample(version, front, home=OTHER_HOME)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("BackendContext: 0 compiled, 2 interpreted: 2 untrusted: signed by", done.stdout)

    def test_cpp_host_errors(self):
        """corrupt code, strict and unknown options stop a C++ session as well"""
        corrupt, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        front, _ = self.package("two_layers", "--target", "host")
        for version in ("1.23.2", "1.31.1"):
            for words, done in (("BackendContext: corrupt: ", self.sample(version, corrupt)),
                                ("strict: ", self.sample(version, front, "strict=1", home=OTHER_HOME)),
                                ("is not known; known are", self.sample(version, front, "stict=1"))):
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(words, done.stderr)

    def test_exports(self):
        """the provider exports the two functions of its interface and is not linked to ONNX Runtime"""
        symbols = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", models.PROVIDER_LIBRARY],
                                 capture_output=True, text=True, check=True).stdout
        self.assertEqual({line.split()[0] for line in symbols.splitlines()},
                         {"CreateEpFactories", "ReleaseEpFactory"})
        needed = subprocess.run(["readelf", "-d", models.PROVIDER_LIBRARY], capture_output=True, text=True,
                                check=True).stdout
        self.assertIn("libbackendctx.so", needed)
        self.assertNotIn("onnxruntime", needed)

    def test_python_sample(self):
        """the Python sample runs a package compiled"""
        front, _ = self.package("two_layers", "--target", "host")
        script = pathlib.Path(os.environ["BCTX_SOURCE"]) / "samples" / "run_package.py"
        done = subprocess.run([sys.executable, script, models.PROVIDER_LIBRARY, front, "strict=1"],
                              env={**os.environ, "HOME": str(HOME)}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 compiled, 0 interpreted", done.stdout)
        self.assertIn("y [16, 16, 64] crc32 ", done.stdout)

    def test_old_python_module(self):
        """the Python module of the oldest ONNX Runtime runs a package compiled and stops a corrupt one"""
        module = models.DEPS / "ort" / "1.23.2" / "python"
        script = pathlib.Path(os.environ["BCTX_SOURCE"]) / "samples" / "run_package.py"
        corrupt, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        environment = {**os.environ, "HOME": str(HOME), "PYTHONPATH": str(module)}
        for front, code, words in ((self.package("two_layers", "--target", "host")[0], 0, "2 compiled, 0 interpreted"),
                                   (corrupt, 1, "BackendContext: corrupt: ")):
            done = subprocess.run([sys.executable, script, models.PROVIDER_LIBRARY, front], env=environment,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(words, done.stdout + done.stderr)


if __name__ == "__main__":
    cases.main()
