"""The provider in ONNX Runtime's Python module: what runs compiled, and what falls back."""
import json
import os
import pathlib
import shutil
import threading

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.transformers.float16 import convert_float_to_float16

import cases
import models
import provider_case
from provider_case import PROVIDER, Packages, plain, provided


def setUpModule():
    provider_case.set_up()


class RunsCompiled(Packages):
    def test_outputs_and_report(self):
        """a trusted package runs compiled, near the plain model, and the report says what ran"""
        front, container = self.package("two_layers", "--target", "host")
        session, report = self.report(front)
        self.assert_compiled(report, 2)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["profile"]["facts"]["arch"], "x86_64")
        self.assertEqual(report["policy"], {"backends": [], "require_proof": False, "assume_stored": False})
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
            os.environ["HOME"] = str(provider_case.HOME)
            options.add_provider_for_devices([d for d in ort.get_ep_devices() if d.ep_name == PROVIDER],
                                             {"strict": "1"})
            session = ort.InferenceSession(str(front), options)
            np.testing.assert_allclose(session.run(None, models.inputs())[0], expected, atol=1e-4)

    def test_symlinked_cache(self):
        """a package whose files are links into one folder of contents runs compiled"""
        _, report = self.report(self.linked("two_layers", "--target", "host"))
        self.assert_compiled(report, 2)


class FallsBack(Packages):
    def test_untrusted(self):
        """a package of somebody else runs interpreted and says so; with the key it runs compiled"""
        front, _ = self.package("two_layers", "--target", "host")
        session, report = self.report(front, home=provider_case.OTHER_HOME)
        self.assert_interpreted(report, 2, "untrusted", "which is not trusted")
        self.assert_same_bytes(session, front, models.inputs())
        keys = provider_case.HOME / ".config" / "backendctx" / "trust.d"
        _, report = self.report(front, home=provider_case.OTHER_HOME, trusted_keys=keys)
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
        path = provider_case.ROOT / "bytes-report.json"
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
        path = provider_case.ROOT / "constant-report.json"
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
        path = provider_case.ROOT / "plain.onnx"
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


if __name__ == "__main__":
    cases.main()
