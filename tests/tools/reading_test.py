"""What every reading verb opens: packages, bare containers, plain and EPContext models, wherever they lie."""
import hashlib
import json
import os
import pathlib
import shutil
import unittest

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

import bctx
import cases
import json_schema
import sample_models

CODE = bytes(range(256)) * 9
VERBS = ("show", "why", "size", "verify")


def keeps(test, name, value):
    schema = json.loads((bctx.SOURCE / "schemas" / f"{name}.schema.json").read_text())
    test.assertEqual(json_schema.violations(value, schema), [])


class Scene(unittest.TestCase):
    def setUp(self):
        context = bctx.folder()
        self.place = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.user = bctx.User(self.place / "home")

    def pack(self, folder, model=None):
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(model or sample_models.decomposed(), folder / "model.onnx")
        self.user.ok("bctx-pack", "pack", folder / "model.onnx", "-o", folder / "package.onnx", "--target", "host")
        (folder / "model.onnx").unlink()
        container, = folder.glob("*.bctx")
        return folder / "package.onnx", container


class EpContextModels(Scene):
    def read(self, path):
        for verb in VERBS:
            with self.subTest(verb=verb):
                keeps(self, verb, self.user.json("bctx-inspect", verb, path))
        return self.user.json("bctx-inspect", "show", path)

    def test_embedded_code_is_listed(self):
        path = self.place / "embedded.onnx"
        onnx.save(sample_models.ep_context(CODE), path)
        shown = self.read(path)
        first, second = shown["ep_contexts"]
        self.assertEqual((first["node"], first["source"], first["embedded"], first["bytes"], first["file"]),
                         ("first", "MadeUp", True, len(CODE), None))
        self.assertEqual((second["main_context"], second["bytes"]), (False, 0))
        self.assertEqual(shown["ep_compatibility"], {"MadeUp": "soc=7;version=1.2"})
        self.assertEqual((shown["container"], shown["scopes"]), (None, []))
        text = self.user.ok("bctx-inspect", "show", path)
        self.assertIn("an EPContext model", text)
        self.assertIn("2.2 KiB  embedded", text)
        self.assertIn("shares code", text)
        self.assertIn("2 EPContext nodes of other makers", self.user.ok("bctx-inspect", "why", path))

    def test_code_in_a_file_is_counted_and_missed_when_it_is_gone(self):
        path, code = self.place / "named.onnx", self.place / "code.bin"
        onnx.save(sample_models.ep_context(CODE, embedded=False), path)
        code.write_bytes(CODE)
        first = self.read(path)["ep_contexts"][0]
        self.assertEqual((first["embedded"], first["bytes"], first["file"], first["state"]),
                         (False, len(CODE), "code.bin", "present"))
        size = self.user.json("bctx-inspect", "size", path)
        self.assertEqual(size["total_bytes"], path.stat().st_size + len(CODE))
        code.unlink()
        done = self.user.run("bctx-inspect", "verify", path, "--json")
        self.assertEqual(done.returncode, 9, done.stderr)
        error = json.loads(done.stdout)["first_error"]
        self.assertEqual((error["code"], error["file"]), ("io", "code.bin"))

    def test_a_name_that_leaves_the_folder_is_not_followed(self):
        inside = self.place / "inside"
        inside.mkdir()
        (self.place / "code.bin").write_bytes(CODE)
        onnx.save(sample_models.ep_context(CODE, embedded=False, file="../code.bin"), inside / "m.onnx")
        shown = self.user.json("bctx-inspect", "show", inside / "m.onnx")
        self.assertEqual((shown["ep_contexts"][0]["state"], shown["ep_contexts"][0]["bytes"]), ("outside", 0))
        self.assertEqual(self.user.run("bctx-inspect", "verify", inside / "m.onnx").returncode, 7)


class PlainModels(Scene):
    def test_external_data_count_as_bytes_of_the_model(self):
        path = self.place / "external.onnx"
        sample_models.save_external(sample_models.decomposed(), path, "weights.bin")
        size = self.user.json("bctx-inspect", "size", path)
        keeps(self, "size", size)
        self.assertEqual(size["total_bytes"], path.stat().st_size + (self.place / "weights.bin").stat().st_size)
        (self.place / "weights.bin").unlink()
        done = self.user.run("bctx-inspect", "verify", path)
        self.assertEqual(done.returncode, 9, done.stdout)
        self.assertIn("weights.bin", done.stderr)


class Places(Scene):
    """ONNX Runtime follows a link of the model and takes external data beside either end of it."""

    def runs_everywhere(self, path):
        for verb in VERBS:
            self.user.ok("bctx-inspect", verb, path)
        model, feeds = sample_models.decomposed(), sample_models.feeds(sample_models.decomposed())
        expected = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
        stock = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)
        np.testing.assert_array_equal(stock[0], expected[0])
        with self.user.at_the_keyboard():
            session, report = bctx.observed(path)
        self.assertEqual(report["observed"]["compiled"], 2, report)
        np.testing.assert_allclose(session.run(None, feeds)[0], expected[0], atol=1e-4)
        restored = self.place / "restored.onnx"
        self.user.ok("bctx-pack", "restore", path, "-o", restored)
        self.assertEqual(onnx.load(restored), model)

    def test_a_folder_of_links_into_a_store_of_blobs(self):
        front, container = self.pack(self.place / "made")
        cache = self.place / "cache" / "models--somebody--something"
        snapshot, blobs = cache / "snapshots" / "0123abcd", cache / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir()
        for file in (front, container):
            name = hashlib.sha256(file.read_bytes()).hexdigest()
            shutil.move(file, blobs / name)
            (snapshot / file.name).symlink_to(os.path.relpath(blobs / name, snapshot))
        self.runs_everywhere(snapshot / front.name)
        self.user.ok("bctx-inspect", "verify", snapshot / container.name)

    def test_hard_links(self):
        front, container = self.pack(self.place / "made")
        other = self.place / "other"
        other.mkdir()
        for file in (front, container):
            os.link(file, other / file.name)
        self.runs_everywhere(other / front.name)

    def test_a_link_out_of_both_folders_is_refused(self):
        front, container = self.pack(self.place / "made")
        elsewhere = self.place / "elsewhere"
        elsewhere.mkdir()
        shutil.move(container, elsewhere / "container")
        container.symlink_to(elsewhere / "container")
        done = self.user.run("bctx-inspect", "verify", front)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("keep files that belong together in one folder", done.stderr)


class Extract(Scene):
    def setUp(self):
        super().setUp()
        self.front, self.container = self.pack(self.place / "made")

    def extract(self, *flags, source=None):
        out = self.place / "out"
        out.unlink(missing_ok=True)
        self.user.ok("bctx-inspect", "extract", source or self.front, *flags, "-o", out)
        return out.read_bytes()

    def test_code_graph_and_manifest_have_the_digests_that_show_prints(self):
        shown = self.user.json("bctx-inspect", "show", self.front)
        context = shown["scopes"][0]["partitions"][0]["contexts"][0]
        code = self.extract("--context", context["id"])
        self.assertEqual(hashlib.sha256(code).hexdigest(), context["blob"])
        self.assertTrue(code.startswith(b"\x7fELF"))
        manifest = self.extract("--manifest")
        tag = {p.key: p.value for p in onnx.load(self.front, load_external_data=False).metadata_props}["backendctx.front"]
        self.assertEqual(hashlib.sha256(manifest).hexdigest(), json.loads(tag)["manifest"])
        self.assertEqual(self.extract("--manifest", source=self.container), manifest)
        graph = onnx.ModelProto.FromString(self.extract("--graph", "default"))
        self.assertEqual(len(graph.graph.node), len(sample_models.decomposed().graph.node))

    def test_tensors_come_as_bytes_or_as_an_array(self):
        weight = next(t for t in sample_models.decomposed().graph.initializer if t.name == "layer0/wq")
        self.assertEqual(self.extract("--tensor", "layer0/wq"), weight.raw_data)
        self.assertEqual(self.extract("--tensor", "split"),
                         np.array([0, 0, sample_models.HEADS, sample_models.SIZE], np.int64).tobytes())
        array = self.place / "w.npy"
        self.user.ok("bctx-inspect", "extract", self.front, "--tensor", "layer0/wq", "-o", array)
        np.testing.assert_array_equal(np.load(array), numpy_helper.to_array(weight))
        plain = self.place / "plain.onnx"
        onnx.save(sample_models.decomposed(), plain)
        self.assertEqual(self.extract("--tensor", "layer0/wq", source=plain), weight.raw_data)
        keeps(self, "extract", self.user.json("bctx-inspect", "extract", self.front, "--tensor", "root", "-o",
                                              self.place / "root"))

    def test_nothing_is_replaced_without_force_and_no_input_ever(self):
        out = self.place / "out"
        out.write_text("mine")
        self.assertEqual(self.user.run("bctx-inspect", "extract", self.front, "--manifest", "-o", out).returncode, 2)
        self.assertEqual(out.read_text(), "mine")
        self.user.ok("bctx-inspect", "extract", self.front, "--manifest", "-o", out, "--force")
        self.assertNotEqual(out.read_bytes(), b"mine")
        link = self.place / "link"
        os.link(self.container, link)
        before = self.container.read_bytes()
        for target in (self.front, self.container, link):
            done = self.user.run("bctx-inspect", "extract", self.front, "--manifest", "-o", target, "--force")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("is an input", done.stderr)
        self.assertEqual(self.container.read_bytes(), before)

    def test_changed_bytes_are_not_handed_out(self):
        weight = next(t for t in sample_models.decomposed().graph.initializer if t.name == "layer0/wq")
        data = bytearray(self.container.read_bytes())
        data[data.index(weight.raw_data) + 5] ^= 1
        self.container.write_bytes(data)
        done = self.user.run("bctx-inspect", "extract", self.front, "--tensor", "layer0/wq", "-o", self.place / "w")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertFalse((self.place / "w").exists())

    def test_names_that_are_not_there(self):
        for flags in (["--context", "none"], ["--tensor", "none"], ["--graph", "none"], ["--manifest", "--graph", "x"], []):
            done = self.user.run("bctx-inspect", "extract", self.front, *flags, "-o", self.place / "x")
            self.assertEqual(done.returncode, 2, (flags, done.stderr))


class Run(Scene):
    def setUp(self):
        super().setUp()
        self.front, self.container = self.pack(self.place / "made")
        self.model = sample_models.decomposed()

    def run_json(self, *flags):
        ran = self.user.json("bctx-inspect", "run", self.front, *flags)
        keeps(self, "run", ran)
        return ran

    def test_drawn_inputs_run_compiled_and_interpreted_alike(self):
        ran = self.run_json("--compare", "--profile-time", "--runs", "3", "--dim", "length=24", "--dim", "batch=2")
        self.assertEqual((ran["report"]["observed"]["compiled"], ran["report"]["observed"]["interpreted"]), (2, 0))
        keeps(self, "why", ran["report"])
        self.assertEqual([i["dims"] for i in ran["inputs"]], [[2, 24, sample_models.HIDDEN], [2, 24]])
        output, = ran["outputs"]
        self.assertEqual((output["dims"], output["not_finite"]), ([2, 24, sample_models.HIDDEN], 0))
        self.assertGreater(output["largest"], output["least"])
        self.assertGreater(output["difference"], 0)  # two programs: not the same rounding
        self.assertLess(output["difference"], 1e-4)
        for side in ("compiled", "interpreted"):
            self.assertGreater(ran["times"][side]["median_ms"], 0)

    def test_given_inputs_give_the_outputs_that_python_gets(self):
        feeds = sample_models.feeds(self.model)
        for save in (np.savez, np.savez_compressed):
            save(self.place / "inputs.npz", **feeds)
            ran = self.run_json("--inputs", self.place / "inputs.npz", "--compare")
            self.assertFalse(any(i["drawn"] for i in ran["inputs"]))
            expected = ort.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
            output, = ran["outputs"]
            self.assertAlmostEqual(output["mean"], float(expected.mean()), places=5)
            self.assertAlmostEqual(output["largest"], float(expected.max()), places=4)

    def test_drawn_inputs_have_the_sizes_of_given_ones(self):
        np.savez(self.place / "x.npz", x=np.ones((3, 5, sample_models.HIDDEN), np.float32))
        ran = self.run_json("--inputs", self.place / "x.npz")
        self.assertEqual({i["name"]: (i["dims"], i["drawn"]) for i in ran["inputs"]},
                         {"x": ([3, 5, sample_models.HIDDEN], False), "mask": ([3, 5], True)})
        done = self.user.run("bctx-inspect", "run", self.front, "--inputs", self.place / "x.npz", "--dim", "length=9")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--inputs and --dim choose", done.stderr)

    def test_what_somebody_else_signed_runs_interpreted_and_says_why(self):
        other = bctx.User(self.place / "other")
        ran = json.loads(other.ok("bctx-inspect", "run", self.front, "--json"))
        self.assertEqual((ran["report"]["observed"]["compiled"], ran["report"]["observed"]["interpreted"]), (0, 2))
        text = other.ok("bctx-inspect", "run", self.front, "--compare")
        self.assertIn("0 compiled, 2 interpreted", text)
        self.assertIn("is not trusted", " ".join(text.split()))
        self.assertEqual(other.run("bctx-inspect", "run", self.front, "--option", "strict=1").returncode, 1)

    def test_a_tolerance_decides_the_exit_code(self):
        self.user.ok("bctx-inspect", "run", self.front, "--tolerance", "1e-3")
        self.assertEqual(self.user.run("bctx-inspect", "run", self.front, "--tolerance", "0").returncode, 8)

    def test_a_plain_model_runs_interpreted(self):
        path = self.place / "plain.onnx"
        onnx.save(self.model, path)
        ran = self.user.json("bctx-inspect", "run", path)
        keeps(self, "run", ran)
        self.assertIsNone(ran["report"])
        self.assertIn("the model has no contexts", self.user.ok("bctx-inspect", "run", path))

    def test_wrong_inputs_and_flags_are_named(self):
        np.savez(self.place / "other.npz", nobody=np.zeros(3))
        np.savez(self.place / "shape.npz", x=np.zeros((1, 2, 3), np.float32))
        np.savez(self.place / "complex.npz", x=np.zeros(3, np.complex64))
        (self.place / "text.npz").write_text("no archive")
        for flags, code, words in (
                (["--inputs", self.place / "other.npz"], 2, "found an array 'nobody', expected inputs of the model: x, mask"),
                (["--inputs", self.place / "shape.npz"], 2, "Got invalid dimensions for input: x"),
                (["--inputs", self.place / "complex.npz"], 3, "<c8"),
                (["--inputs", self.place / "text.npz"], 3, "npz"),
                (["--inputs", self.place / "gone.npz"], 9, "gone.npz"),
                (["--dim", "nobody=3"], 2, "nobody"), (["--dim", "length"], 2, "NAME=VALUE"),
                (["--ort", self.place / "text.npz"], 9, "text.npz"), (["--option", "shiny=1"], 1, "shiny")):
            with self.subTest(flags=flags):
                done = self.user.run("bctx-inspect", "run", self.front, *flags)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)
        done = self.user.run("bctx-inspect", "run", self.container)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("expected a front", done.stderr)

    def test_a_changed_package_is_an_error(self):
        shown = self.user.json("bctx-inspect", "show", self.front)
        context = shown["scopes"][0]["partitions"][0]["contexts"][0]
        data = bytearray(self.container.read_bytes())
        data[context["offset"] + 9] ^= 1
        self.container.write_bytes(data)
        done = self.user.run("bctx-inspect", "run", self.front)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("digest", done.stderr)


class Samples(Scene):
    def test_a_deployment_tool_judges_a_package_for_another_machine(self):
        onnx.save(sample_models.decomposed(), self.place / "model.onnx")
        front = self.place / "package.onnx"
        self.user.ok("bctx-pack", "pack", self.place / "model.onnx", "-o", front, "--ort", "none")
        profile = self.place / "arm.json"
        profile.write_text(json.dumps({"schema_version": 1, "facts": {"arch": "aarch64", "os": "linux",
                                                                     "cpu.features": ["asimd", "fp"]}}))
        said = self.user.ok("list_contexts", front, profile)
        self.assertIn("model: 6 contexts, signed", said)
        verdicts = {line.split()[0]: line.split()[1].rstrip(":") for line in said.splitlines()[1:]}
        self.assertEqual({v for c, v in verdicts.items() if c.endswith("aarch64")}, {"optimal"}, said)
        self.assertEqual({v for c, v in verdicts.items() if not c.endswith("aarch64")}, {"unsupported"}, said)
        container, = self.place.glob("*.bctx")
        self.assertEqual(self.user.ok("list_contexts", container, profile), said)


if __name__ == "__main__":
    cases.main()
