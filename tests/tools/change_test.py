"""Packages out of packages: proofs run elsewhere, contexts united, and who may do that."""
import json
import shutil
import unittest

import onnx

import bctx
import cases
import json_schema
import sample_models


class Scene(unittest.TestCase):
    def setUp(self):
        context = bctx.folder()
        self.place = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.user = bctx.User(self.place / "home")
        self.model = self.place / "model.onnx"
        onnx.save(sample_models.decomposed(), self.model)

    def pack(self, name, *flags, model=None, user=None):
        (user or self.user).ok("bctx-pack", "pack", model or self.model, "-o", self.place / name, *flags)
        return self.place / name

    def container_of(self, front):
        container, = self.place.glob(f"{front.stem}-*.bctx")
        return container

    def keeps(self, name, value):
        schema = json.loads((bctx.SOURCE / "schemas" / f"{name}.schema.json").read_text())
        self.assertEqual(json_schema.violations(value, schema), [])
        return value

    def contexts(self, front):
        shown = self.user.json("bctx-inspect", "show", front)
        return {c["id"]: c for s in shown["scopes"] for p in s["partitions"] for c in p["contexts"]}

    def sound(self, front, *flags):
        self.user.ok("bctx-inspect", "verify", front, *flags)
        restored = self.place / "restored.onnx"
        self.user.ok("bctx-pack", "restore", front, "-o", restored, "--force")
        self.assertEqual(onnx.load(restored), onnx.load(self.model))

    def refused(self, code, words, *command):
        before = set(self.place.rglob("*"))
        done = self.user.run(*command)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(set(self.place.rglob("*")), before)


class Prove(Scene):
    def test_what_was_not_proved_while_packing_is_proved_later(self):
        front, out = self.pack("unproved.onnx", "--ort", "none"), self.place / "proved.onnx"
        self.assertEqual({c["proof"] for c in self.contexts(front).values()}, {"not-run"})
        self.assertEqual(self.user.run("bctx-inspect", "verify", front, "--require", "proved").returncode, 6)
        report = self.keeps("prove", self.user.json("bctx-pack", "prove", front, "-o", out))
        here = {c for c, shown in self.contexts(front).items() if shown["verdict"] == "optimal"}
        self.assertTrue(here)
        for proof in report["proofs"]:
            self.assertEqual(proof["before"], "not-run")
            if proof["context"] in here:
                self.assertEqual(proof["after"], "passed", proof)
                self.assertLess(proof["largest_error"], 5e-5)
            if proof["after"] == "not-run":
                self.assertTrue(proof["reason"], proof)
        self.assertEqual({c for c, shown in self.contexts(out).items() if shown["proof"] == "passed"},
                         {p["context"] for p in report["proofs"] if p["after"] == "passed"})
        self.sound(out)
        with self.user.at_the_keyboard():
            _, observed = bctx.observed(out, **{"require-proof": 1})
        self.assertEqual(observed["observed"]["compiled"], 2)

    def test_proving_again_changes_nothing_but_the_signature(self):
        front, out = self.pack("one.onnx"), self.place / "two.onnx"
        text = self.user.ok("bctx-pack", "prove", front, "-o", out)
        self.assertIn("proved      0 contexts here", text)
        manifests = []
        for package in (front, out):
            self.user.ok("bctx-inspect", "extract", package, "--manifest", "-o", self.place / "m", "--force")
            manifests.append((self.place / "m").read_bytes())
        self.assertEqual(*manifests)
        again = self.keeps("prove", self.user.json("bctx-pack", "prove", front, "-o", self.place / "three.onnx", "--again"))
        self.assertGreater(max(p["largest_error"] for p in again["proofs"]), 0)
        self.sound(self.place / "three.onnx")

    def test_only_packages_that_a_trusted_key_signed(self):
        stranger = bctx.User(self.place / "stranger")
        out = self.place / "out.onnx"
        for front, words in ((self.pack("theirs.onnx", user=stranger), "is not trusted"),
                             (self.pack("nobodys.onnx", "--no-sign"), "is not signed")):
            self.refused(5, words, "bctx-pack", "prove", front, "-o", out)

    def test_damage_is_found_before_trust_is_asked(self):
        front = self.pack("damaged.onnx", "--no-sign")
        container = self.container_of(front)
        data = bytearray(container.read_bytes())
        data[-1] ^= 1
        container.write_bytes(data)
        self.refused(4, "digest", "bctx-pack", "prove", front, "-o", self.place / "out.onnx")

    def test_outputs_are_no_inputs_and_replace_nothing(self):
        front = self.pack("one.onnx", "--target", "host")
        self.refused(2, "is the input", "bctx-pack", "prove", front, "-o", front, "--force")
        shutil.copy(front, self.place / "other.onnx")
        self.refused(2, "--force", "bctx-pack", "prove", front, "-o", self.place / "other.onnx")
        self.refused(3, "plain ONNX model", "bctx-pack", "prove", self.model, "-o", self.place / "x.onnx")


class Merge(Scene):
    def test_contexts_of_two_machines_come_together(self):
        x86, arm = self.pack("x86.onnx", "--target", "x86-64-v3"), self.pack("arm.onnx", "--target", "aarch64")
        out = self.place / "all.onnx"
        report = self.keeps("merge", self.user.json("bctx-pack", "merge", x86, arm, "-o", out))
        self.assertEqual({a["from"] for a in report["added"]}, {str(arm)})
        self.assertEqual({c["target"] for c in self.contexts(out).values()}, {"x86-64-v3", "aarch64"})
        self.sound(out, "--require", "signed,target=x86-64-v3,target=aarch64")
        shown = self.user.json("bctx-inspect", "show", out)
        self.assertEqual({s["name"] for s in shown["scopes"]}, {"cpu-attention/x86-64-v3", "cpu-attention/aarch64"})
        with self.user.at_the_keyboard():
            _, observed = bctx.observed(out)
        self.assertEqual(observed["observed"]["compiled"], 2 if "optimal" in str(self.contexts(x86)) else 0)

    def test_the_result_is_what_packing_for_both_gives(self):
        x86, arm = self.pack("x86.onnx", "--target", "x86-64-v3"), self.pack("arm.onnx", "--target", "aarch64")
        both, out = self.pack("both.onnx", "--target", "x86-64-v3,aarch64"), self.place / "out.onnx"
        self.user.ok("bctx-pack", "merge", x86, arm, "-o", out)
        self.assertEqual(self.contexts(both).keys(), self.contexts(out).keys())
        self.assertEqual({c["blob"] for c in self.contexts(both).values()}, {c["blob"] for c in self.contexts(out).values()})
        again = self.place / "again.onnx"
        self.user.ok("bctx-pack", "merge", x86, arm, "-o", again)
        self.assertEqual(self.container_of(out).read_bytes(), self.container_of(again).read_bytes())

    def test_of_equal_code_the_proved_one_stays(self):
        unproved, proved = self.pack("a.onnx", "--ort", "none", "--target", "host"), self.pack("b.onnx", "--target", "host")
        report = self.user.json("bctx-pack", "merge", unproved, proved, "-o", self.place / "out.onnx")
        self.assertEqual({a["replaces"] for a in report["added"]}, {"proof"})
        self.assertEqual({c["proof"] for c in self.contexts(self.place / "out.onnx").values()}, {"passed"})
        text = self.user.ok("bctx-pack", "merge", proved, unproved, "-o", self.place / "none.onnx")
        self.assertIn("nothing: the first package has it all", text)
        self.sound(self.place / "none.onnx", "--require", "proved")

    def test_different_graphs_are_refused_with_the_first_difference(self):
        front = self.pack("a.onnx", "--target", "host")

        def attribute(model):
            next(n for n in model.graph.node if n.op_type == "Softmax").attribute[0].i = 3

        def weight(model):
            tensor = next(t for t in model.graph.initializer if t.name == "layer1/wv")
            tensor.raw_data = bytes(reversed(tensor.raw_data))

        def opset(model):
            model.opset_import[0].version = 18

        for change, words in ((attribute, "node 'layer0/weights': attribute 'axis'"),
                              (weight, "initializer 'layer1/wv'"), (opset, "opset of '': 17 and 18")):
            with self.subTest(change=change.__name__):
                model = sample_models.decomposed()
                change(model)
                onnx.save(model, self.place / "other.onnx")
                other = self.pack("b.onnx", "--target", "host", "--force", model=self.place / "other.onnx")
                self.refused(2, words, "bctx-pack", "merge", front, other, "-o", self.place / "out.onnx")

    def test_each_must_be_vouched_for(self):
        front, stranger = self.pack("a.onnx", "--target", "host"), bctx.User(self.place / "stranger")
        theirs = self.pack("b.onnx", "--target", "host", user=stranger)
        unsigned = self.pack("c.onnx", "--target", "host", "--no-sign")
        out = self.place / "out.onnx"
        self.refused(5, "is not trusted", "bctx-pack", "merge", front, theirs, "-o", out)
        self.refused(5, "is not trusted", "bctx-pack", "merge", front, theirs, "-o", out, "--allow-unsigned")
        self.refused(5, "is not signed", "bctx-pack", "merge", front, unsigned, "-o", out)
        self.refused(2, "found 1 package", "bctx-pack", "merge", front, "-o", out)
        self.refused(2, "is the input", "bctx-pack", "merge", front, front, "-o", front, "--force")
        self.user.ok("bctx-pack", "merge", front, unsigned, "-o", out, "--allow-unsigned")
        self.sound(out)


if __name__ == "__main__":
    cases.main()
