"""Every JSON output keeps its schema, and its numbers add up."""
import json
import unittest

import onnx

import bctx
import cases
import json_schema
import sample_models


class JsonOutput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.context = bctx.folder()
        cls.place = cls.context.__enter__()
        cls.user = bctx.User(cls.place / "home")
        cls.model, cls.package = cls.place / "model.onnx", cls.place / "package.onnx"
        onnx.save(sample_models.decomposed(), cls.model)
        cls.packed = cls.user.json("bctx-pack", "pack", cls.model, "-o", cls.package)
        cls.container, = cls.place.glob("*.bctx")

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def keeps(self, name, value):
        schema = json.loads((bctx.SOURCE / "schemas" / f"{name}.schema.json").read_text())
        self.assertEqual(json_schema.violations(value, schema), [])
        self.assertEqual(next(iter(value)), "schema_version")

    def test_each_output_keeps_its_schema(self):
        self.keeps("pack", self.packed)
        for file in (self.package, self.container, self.model):
            for verb in ("show", "why", "size"):
                with self.subTest(verb=verb, file=file.name):
                    self.keeps(verb, self.user.json("bctx-inspect", verb, file))
            self.keeps("verify", self.user.json("bctx-inspect", "verify", file))
        self.keeps("host", self.user.json("bctx-inspect", "host"))
        self.keeps("trust", self.user.json("bctx-pack", "trust", "list"))
        self.keeps("backends", self.user.json("bctx-pack", "backends"))

    def test_packages_of_every_form_keep_the_schemas(self):
        for to, *flags in (("metadata",), ("both",), ("function", "--embed")):
            with self.subTest(to=to, flags=flags):
                folder = self.place / f"{to}{len(flags)}"
                folder.mkdir()
                front = folder / "package.onnx"
                encoded = self.user.json("bctx-pack", "encode", self.package, "-o", front, "--to", to, *flags)
                self.keeps("encode", encoded)
                self.assertEqual(encoded["container"] is None, "--embed" in flags)
                for verb in ("show", "why", "size", "verify"):
                    self.keeps(verb, self.user.json("bctx-inspect", verb, front))
                files = front.stat().st_size + sum(c.stat().st_size for c in folder.glob("*.bctx"))
                self.assertEqual(self.user.json("bctx-inspect", "size", front)["total_bytes"], files)

    def test_compiler_and_driver_are_two_plug_ins_of_one_backend(self):
        found = [b for b in self.user.json("bctx-pack", "backends")["backends"] if b["backend"] == "cpu-attention"]
        self.assertEqual(sorted((b["compiles"], b["runs"]) for b in found), [(False, True), (True, False)])
        compiler = next(b for b in found if b["compiles"])
        self.assertEqual(set(compiler["targets"]), {"x86-64-v3", "x86-64-v4", "aarch64"})

    def test_the_report_of_the_provider_keeps_the_schema_of_why(self):
        with self.user.at_the_keyboard():
            _, report = bctx.observed(self.package)
        self.keeps("why", report)

    def test_tool_and_provider_give_the_same_trace(self):
        with self.user.at_the_keyboard():
            _, report = bctx.observed(self.package)
        why = self.user.json("bctx-inspect", "why", self.package)
        self.assertGreater(len(why["decisions"]), 0)
        for key in ("decisions", "profile", "policy"):
            self.assertEqual(report[key], why[key])

    def test_each_machine_of_the_samples_gets_its_code(self):
        chosen = {"aarch64.json": {"aarch64"}, "qualcomm-npu.json": {"aarch64"}, "x86-64-v2.json": set()}
        hosts = sorted((bctx.SOURCE / "samples" / "hosts").iterdir())
        self.assertEqual([host.name for host in hosts], sorted(chosen))
        for host in hosts:
            with self.subTest(host=host.name):
                self.keeps("host", json.loads(host.read_text()))
                why = self.user.json("bctx-inspect", "why", self.package, "--profile", host)
                self.keeps("why", why)
                self.assertEqual(why["profile"], json.loads(host.read_text()))
                targets = {d["context"].rsplit("/", 1)[1] for d in why["decisions"] if d["outcome"] == "chosen"}
                self.assertEqual(targets, chosen[host.name])

    def test_sizes_add_up_to_the_files(self):
        size = self.user.json("bctx-inspect", "size", self.package)
        files = self.package.stat().st_size + self.container.stat().st_size
        self.assertEqual(size["total_bytes"], files)
        self.assertEqual(sum(label["bytes"] for label in size["labels"]), files)
        self.assertEqual(self.packed["sizes"]["front_bytes"] + self.packed["sizes"]["container_bytes"], files)

    def test_equal_layers_share_one_blob_for_each_target(self):
        shown = self.user.json("bctx-inspect", "show", self.package)
        contexts = [c for s in shown["scopes"] for p in s["partitions"] for c in p["contexts"]]
        self.assertEqual(len(contexts), 6)
        self.assertEqual(len({c["blob"] for c in contexts}), 3)
        self.assertEqual({c["target"] for c in contexts}, {"x86-64-v3", "x86-64-v4", "aarch64"})
        for context in contexts:
            data = self.container.read_bytes()[context["offset"]:context["offset"] + context["stored_bytes"]]
            self.assertTrue(data.startswith(b"\x7fELF"))

    def test_the_profile_of_this_host_gives_the_decisions_of_this_host(self):
        profile = self.place / "host.json"
        profile.write_text(json.dumps(self.user.json("bctx-inspect", "host")))
        here = self.user.json("bctx-inspect", "why", self.package)
        there = self.user.json("bctx-inspect", "why", self.package, "--profile", profile)
        self.assertEqual(here["decisions"], there["decisions"])

    def test_another_profile_gives_other_decisions_with_reasons(self):
        profile = self.place / "arm.json"
        profile.write_text(json.dumps({"schema_version": 1, "facts": {
            "arch": "aarch64", "os": "linux", "cpu.features": ["asimd", "fp"], "cpu.count": 4}}))
        decisions = self.user.json("bctx-inspect", "why", self.package, "--profile", profile)["decisions"]
        chosen = [d for d in decisions if d["outcome"] == "chosen"]
        self.assertEqual(len(chosen), 2)
        for decision in decisions:
            if decision["outcome"] != "chosen":
                self.assertEqual((decision["verdict"], decision["reason"]), ("unsupported", "incompatible"))
                self.assertIn("arch", decision["detail"])

    def test_the_schema_reader_can_say_no(self):
        schema = json.loads((bctx.SOURCE / "schemas" / "verify.schema.json").read_text())
        self.assertTrue(json_schema.violations({"schema_version": 2, "ok": True, "checks": []}, schema))
        with self.assertRaises(ValueError):
            json_schema.violations({}, {"oneOf": []})


if __name__ == "__main__":
    cases.main()
