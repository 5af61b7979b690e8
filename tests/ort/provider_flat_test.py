"""Fronts in other forms than functions beside a container: the metadata encoding, and one file."""
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

import cases
import models
import provider_case
from provider_case import PROVIDER, Packages, plain, provided

LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
FLAT = ("--target", "host", "--encoding", "metadata")
EMBED = ("--target", "host", "--embed")
EVERY_MODEL = {"two_layers": 2, "one_value_thrice": 1, "in_branches": 2, "decomposed": 1, "masked_layers": 3}


def setUpModule():
    provider_case.set_up()


class Flat(Packages):
    def feeds(self, name):
        feeds = models.inputs()
        if name == "in_branches":
            feeds["flag"] = np.array(True)
        if name == "masked_layers":
            feeds["mask"] = models.mask()
        return feeds

    def edited(self, name, change):
        """The report and session of a front after `change` was made to its graph."""
        front, _ = self.copy(name, *FLAT)
        model = onnx.load(front, load_external_data=False)
        change(model.graph)
        onnx.save(model, front)
        session, report = self.report(front)
        if not report["observed"]["compiled"]:
            self.assert_same_bytes(session, front, self.feeds(name))
        return report, session, front

    def test_every_model_at_every_level(self):
        """regions are claimed at every optimisation level and their numbers are near the plain model's"""
        for name, count in EVERY_MODEL.items():
            front, _ = self.package(name, *FLAT)
            for level in LEVELS:
                with self.subTest(model=name, level=level):
                    session, report = self.report(front, level=level)
                    self.assert_compiled(report, count)
                    self.assertEqual(sum(d["outcome"] == "chosen" for d in report["decisions"]), count)
                    self.assert_near(session, front, self.feeds(name))

    def test_merged_values(self):
        """inputs that ONNX Runtime has merged with equal ones are found under the other's name"""
        front, _ = self.package("masked_layers", *FLAT)
        shown = json.loads(models.inspect("show", front, "--json", home=provider_case.HOME))
        inputs = [p["inputs"] for s in shown["scopes"] for p in s["partitions"]]
        self.assertEqual(len(inputs), 3)
        _, report = self.report(front)
        self.assert_compiled(report, 3)

    def test_shared_inner_values(self):
        """a region whose inner nodes ONNX Runtime has merged with others' is interpreted, with the reason"""
        front, _ = self.package("one_key_twice", *FLAT)
        session, report = self.report(front, level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
        self.assert_compiled(report, 2)
        session, report = self.report(front)
        self.assertLess(report["observed"]["compiled"], 2)
        lost = [d for d in report["decisions"] if d["outcome"] != "chosen"]
        self.assertEqual({d["reason"] for d in lost}, {"rewritten"}, lost)
        self.assertTrue(any("share its inner value" in d["detail"] for d in lost), lost)
        self.assert_near(session, front, self.feeds("one_key_twice"))
        self.assert_refused(["strict", "rewritten", "share its inner value"], front, strict=1)
        # The function encoding does not depend on rewrites.
        front, _ = self.package("one_key_twice", "--target", "host")
        _, report = self.report(front, strict=1)
        self.assert_compiled(report, 2)

    def test_both(self):
        """with both encodings either front runs compiled from one container"""
        function, container = self.package("two_layers", "--target", "host", "--encoding", "both")
        flat = function.with_suffix(".flat.onnx")
        for front, encoding in ((function, "function"), (flat, "metadata")):
            session, report = self.report(front, strict=1)
            self.assert_compiled(report, 2)
            self.assert_near(session, front, self.feeds("two_layers"))
            shown = json.loads(models.inspect("show", front, "--json", home=provider_case.HOME))
            self.assertEqual((shown["encoding"], shown["container"]), (encoding, str(container)))

    def test_why_agrees(self):
        """what why says before is what a session decides, reasons too"""
        for flags in (FLAT, ("--target", "host"), EMBED):
            front = self.package("two_layers", *flags)[0]
            said = json.loads(models.inspect("why", front, "--json", home=provider_case.HOME))
            _, report = self.report(front)
            self.assertEqual(said["decisions"], report["decisions"])

    def test_untrusted_and_other_machines(self):
        """without trust, or for another machine, the graph runs as it is"""
        front, _ = self.package("two_layers", *FLAT)
        session, report = self.report(front, home=provider_case.OTHER_HOME)
        self.assert_not_compiled(report, "untrusted")
        self.assert_same_bytes(session, front, self.feeds("two_layers"))
        front, _ = self.package("two_layers", "--target", "aarch64", "--encoding", "metadata")
        session, report = self.report(front)
        self.assert_not_compiled(report, "incompatible")
        self.assert_same_bytes(session, front, self.feeds("two_layers"))

    def assert_not_compiled(self, report, reason):
        self.assertEqual(report["observed"]["compiled"], 0)
        self.assertEqual(report["observed"]["interpreted"], 2)
        self.assertEqual({d["reason"] for d in report["decisions"]}, {reason})

    def test_edited_inside(self):
        """an edit inside a region is stale and runs what the front says"""
        def change(graph):
            for node in graph.node:
                if node.op_type == "Attention":
                    node.attribute.append(onnx.helper.make_attribute("scale", 0.5))
        report, _, _ = self.edited("two_layers", change)
        self.assert_not_compiled(report, "stale")

    def test_edited_equal_values(self):
        """a recorded equality that an edit has broken is not used"""
        def change(graph):
            for node in graph.node:
                if node.op_type == "Mul" and node.output[0] == "bias_1":
                    node.op_type = "Add"
        report, session, front = self.edited("masked_layers", change)
        self.assert_near(session, front, self.feeds("masked_layers"))
        self.assertEqual(report["observed"]["compiled"], 3)

    def test_edited_around(self):
        """an edit outside of the regions leaves them compiled"""
        def change(graph):
            graph.node[-1].op_type = "Neg"
        report, session, front = self.edited("two_layers", change)
        self.assert_compiled(report, 2)
        self.assert_near(session, front, self.feeds("two_layers"))

    def test_corrupt(self):
        """damaged code stops the session"""
        front, container = self.copy("two_layers", *FLAT)
        self.flip_code(container)
        self.assert_refused(["corrupt"], front)

    def test_from_bytes(self):
        """a flat model from bytes runs compiled with a note"""
        front, _ = self.package("two_layers", *FLAT)
        entry = ("session.model_external_initializers_file_folder_path", str(front.parent))
        path = provider_case.ROOT / "flat-bytes-report.json"
        session = provided(front.read_bytes(), entries=[entry], report=path)
        report = json.loads(path.read_text())
        self.assert_compiled(report, 2)
        self.assertIn("body not checked", report["observed"]["note"])
        self.assert_near(session, front, self.feeds("two_layers"))

    def test_symlinked_cache(self):
        """a flat front whose files are links into one folder of contents runs compiled"""
        _, report = self.report(self.linked("in_branches", *FLAT))
        self.assert_compiled(report, 2)


class InOneFile(Packages):
    def test_runs_compiled(self):
        """a package in one file runs compiled, and as plain ONNX"""
        for name, count in {"two_layers": 2, "in_branches": 2, "decomposed": 1}.items():
            front = self.package(name, *EMBED)[0]
            self.assertEqual(list(front.parent.glob("*.bctx")), [])
            session, report = self.report(front, strict=1)
            self.assert_compiled(report, count)
            feeds = models.inputs()
            if name == "in_branches":
                feeds["flag"] = np.array(False)
            self.assert_near(session, front, feeds)

    def test_moves_alone(self):
        """one file is all of it: it runs compiled from another folder"""
        front = self.package("two_layers", *EMBED)[0]
        moved = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT)) / "moved.onnx"
        shutil.copy(front, moved)
        _, report = self.report(moved, integrity="full", strict=1)
        self.assert_compiled(report, 2)

    def test_stale_and_corrupt(self):
        """an edited body is interpreted, a damaged container stops"""
        front = pathlib.Path(shutil.copy(self.package("two_layers", *EMBED)[0],
                                         tempfile.mkdtemp(dir=provider_case.ROOT)))
        original = front.read_bytes()
        model = onnx.load(front)
        for function in model.functions:
            for node in function.node:
                if node.op_type == "Attention":
                    node.attribute.append(onnx.helper.make_attribute("scale", 0.5))
        onnx.save(model, front)
        session, report = self.report(front)
        self.assert_interpreted(report, 2, "stale", "structure digest")
        self.assert_same_bytes(session, front, models.inputs())
        front.write_bytes(original)
        self.flip_code(front)
        self.assert_refused(["corrupt"], front)

    def test_from_bytes(self):
        """one file from bytes runs interpreted: what is inside cannot be looked up"""
        front = self.package("two_layers", *EMBED)[0]
        path = provider_case.ROOT / "embedded-bytes-report.json"
        for entries in ((), (("session.model_external_initializers_file_folder_path", str(front.parent)),)):
            session = provided(front.read_bytes(), entries=entries, report=path)
            report = json.loads(path.read_text())
            self.assertEqual(report["observed"]["compiled"], 0)
            self.assertIn("loaded from bytes", report["observed"]["declined"])
            self.assert_same_bytes(session, front, models.inputs())


if __name__ == "__main__":
    cases.main()
