"""Changed bytes and edited fronts, seen through the tools and through ONNX Runtime."""
import json
import shutil
import unittest

import onnx

import bctx
import cases
import sample_models


class Tampering(unittest.TestCase):
    def setUp(self):
        context = bctx.folder()
        self.place = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.user = bctx.User(self.place / "home")
        self.package = self.place / "package.onnx"
        onnx.save(sample_models.decomposed(), self.place / "model.onnx")
        self.user.ok("bctx-pack", "pack", self.place / "model.onnx", "-o", self.package)
        self.container, = self.place.glob("*.bctx")

    def flip(self, path, offset, restore=False):
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.write_bytes(data)

    def loaded(self):
        shown = self.user.json("bctx-inspect", "show", self.package)
        return [c for s in shown["scopes"] for p in s["partitions"] for c in p["contexts"] if c["outcome"] == "chosen"]

    def verify(self, *flags):
        done = self.user.run("bctx-inspect", "verify", self.package, "--json", *flags)
        return done.returncode, json.loads(done.stdout)

    def test_a_changed_byte_of_loaded_code_is_found_and_refused(self):
        context = self.loaded()[0]
        where = context["offset"] + context["stored_bytes"] // 2
        self.flip(self.container, where)
        code, report = self.verify()
        self.assertEqual((code, report["first_error"]["code"]), (4, "corrupt"))
        with self.user.at_the_keyboard(), self.assertRaises(Exception) as raised:
            bctx.provider_session(self.package)
        self.assertIn(context["blob"][:12], str(raised.exception))
        self.flip(self.container, where)
        self.assertEqual(self.verify()[0], 0)
        with self.user.at_the_keyboard():
            bctx.provider_session(self.package)

    def test_a_changed_weight_is_found_by_verify_and_by_full_integrity(self):
        size = self.user.json("bctx-inspect", "size", self.package)
        tensors = next(label["bytes"] for label in size["labels"] if label["label"] == "tensor")
        data = self.container.read_bytes()
        weight = sample_models.decomposed().graph.initializer[0]
        weights = [t for t in sample_models.decomposed().graph.initializer if len(t.raw_data) > 128]
        self.assertGreaterEqual(tensors, sum(len(t.raw_data) for t in weights))
        weight = weights[0]
        self.flip(self.container, data.index(weight.raw_data) + 100)
        code, report = self.verify()
        self.assertEqual((code, report["first_error"]["code"]), (4, "corrupt"))
        self.assertEqual(self.verify("--quick")[0], 0)
        with self.user.at_the_keyboard():
            with self.assertRaises(Exception):
                bctx.provider_session(self.package, integrity="full")
            bctx.provider_session(self.package)  # only what is loaded is looked at

    def test_every_failure_names_file_found_and_expected(self):
        self.flip(self.container, 100)
        code, report = self.verify()
        self.assertIn(code, (3, 4))
        error = report["first_error"]
        self.assertTrue(error["file"] and error["message"])

    def edited(self, change):
        """The front after `change`, saved by onnx's own library beside the container."""
        model = onnx.load(self.package, load_external_data=False)
        change(model)
        onnx.save(model, self.package)

    def test_a_front_edited_by_another_tool_runs_interpreted_with_the_reason(self):
        def change(model):
            for node in model.functions[0].node:
                if node.op_type == "Softmax":
                    node.attribute[0].i = 3  # the same axis, written in another way
        self.edited(change)
        code, report = self.verify()
        self.assertEqual(code, 4)
        with self.user.at_the_keyboard():
            session, report = bctx.observed(self.package)
        outcomes = {d["outcome"] for d in report["decisions"] if d["partition"].endswith("0")}
        self.assertIn("stale", {d["outcome"] for d in report["decisions"]}, outcomes)
        self.assertGreater(report["observed"]["interpreted"], 0)
        session.run(None, sample_models.feeds(sample_models.decomposed()))

    def test_a_missing_container_is_an_error_with_its_name(self):
        name = self.container.name
        shutil.move(self.container, self.place / "elsewhere")
        done = self.user.run("bctx-inspect", "show", self.package)
        self.assertEqual(done.returncode, 9)
        self.assertIn(name, done.stderr)

    def test_the_container_of_another_package_is_refused(self):
        other = self.place / "other"
        other.mkdir()
        onnx.save(sample_models.operator(), other / "model.onnx")
        self.user.ok("bctx-pack", "pack", other / "model.onnx", "-o", other / "package.onnx")
        theirs, = other.glob("*.bctx")
        shutil.copyfile(theirs, self.container)
        done = self.user.run("bctx-inspect", "verify", self.package)
        self.assertEqual(done.returncode, 4, done.stderr)


if __name__ == "__main__":
    cases.main()
