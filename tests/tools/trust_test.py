"""Two users: what one packs runs interpreted for the other until the key is trusted."""
import json
import os
import unittest

import numpy as np
import onnx
import onnxruntime as ort

import bctx
import cases
import sample_models


def difference(found, expected):
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected))


class TwoUsers(unittest.TestCase):
    def setUp(self):
        context = bctx.folder()
        self.place = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.maker, self.other = bctx.User(self.place / "maker"), bctx.User(self.place / "other")
        self.model = sample_models.decomposed()
        self.original, self.package = self.place / "model.onnx", self.place / "package.onnx"
        onnx.save(self.model, self.original)

    def pack(self, *flags):
        return self.maker.ok("bctx-pack", "pack", self.original, "-o", self.package, *flags)

    def opened_by(self, user, **options):
        with user.at_the_keyboard():
            session, report = bctx.observed(self.package, **options)
        feeds = sample_models.feeds(self.model)
        plain = ort.InferenceSession(str(self.original), providers=["CPUExecutionProvider"])
        self.assertLess(difference(session.run(None, feeds), plain.run(None, feeds)), 1e-4)
        return report

    def test_the_key_made_on_first_use_is_trusted_by_its_owner_only(self):
        self.pack()
        report = self.opened_by(self.maker)
        self.assertEqual((report["observed"]["compiled"], report["observed"]["interpreted"]), (2, 0), report)
        report = self.opened_by(self.other)
        self.assertEqual((report["observed"]["compiled"], report["observed"]["interpreted"]), (0, 2), report)
        self.assertEqual({d["reason"] for d in report["decisions"] if d["verdict"] == "optimal"}, {"untrusted"}, report)

    def test_after_trust_add_the_package_runs_compiled(self):
        self.pack()
        self.assertEqual(self.other.run("bctx-inspect", "verify", self.package).returncode, 5)
        key = self.maker.home / ".config/backendctx/key.pub"
        self.assertIn("trusted", self.other.ok("bctx-pack", "trust", "add", key))
        self.assertEqual(self.other.run("bctx-inspect", "verify", self.package).returncode, 0)
        self.assertEqual(self.opened_by(self.other)["observed"]["compiled"], 2)

    def test_a_key_can_be_taken_from_the_package_and_given_up_again(self):
        self.pack()
        self.other.ok("bctx-pack", "trust", "add", self.package, "--yes")
        self.assertEqual(self.opened_by(self.other)["observed"]["compiled"], 2)
        key, = self.other.json("bctx-pack", "trust", "list")["keys"]
        self.other.ok("bctx-pack", "trust", "remove", key["key"])
        self.assertEqual(self.opened_by(self.other)["observed"]["compiled"], 0)

    def test_an_unsigned_package_runs_interpreted_for_everybody(self):
        self.pack("--no-sign")
        report = self.opened_by(self.maker)
        self.assertEqual(report["observed"]["compiled"], 0)
        self.assertEqual({d["reason"] for d in report["decisions"] if d["verdict"] == "optimal"}, {"untrusted"}, report)

    def test_a_key_in_the_environment_signs(self):
        self.maker.ok("bctx-pack", "keygen", "-o", self.place / "ci.key")
        done = self.maker.run("bctx-pack", "pack", self.original, "-o", self.package, "--key-env", "CI_KEY",
                              environment={"CI_KEY": (self.place / "ci.key").read_text()})
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.other.run("bctx-inspect", "verify", self.package, "--trusted-keys", self.place / "ci.key.pub")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_private_key_is_for_its_owner_alone(self):
        self.pack()
        key = self.maker.home / ".config/backendctx/key"
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)

    def test_show_and_verify_name_the_key(self):
        self.pack()
        signer = self.maker.json("bctx-pack", "trust", "list")["keys"][0]["key"]
        shown = self.other.json("bctx-inspect", "show", self.package)
        self.assertEqual(shown["signatures"], [{"key": signer, "state": "unknown-key"}])
        done = self.other.run("bctx-inspect", "verify", self.package, "--json")
        self.assertEqual(done.returncode, 5)
        checks = json.loads(done.stdout)["checks"]
        self.assertTrue(all(c["ok"] for c in checks if c["name"] != "signatures"))
        self.assertIn(signer, next(c["detail"] for c in checks if c["name"] == "signatures"))


if __name__ == "__main__":
    cases.main()
