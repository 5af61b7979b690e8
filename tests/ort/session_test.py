"""Session: the right outputs whatever runs, what was decided and why, and what makes Open fail."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
import onnx

import cases
import models
import provider_case
from provider_case import Packages, plain

PROBE = models.BUILD / "bin" / "session_probe"
SAMPLE = models.BUILD / "bin" / "run_session"
RUNTIME = models.DEPS / "ort" / "1.31.1"
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.bool_): 9}


def setUpModule():
    provider_case.set_up()


class Answer:
    """What the probe printed, and the outputs that it left."""

    def __init__(self, done, folder):
        self.exit_code, self.lines = done.returncode, [line.split("\t") for line in done.stdout.splitlines()]
        self.stderr, self.folder = done.stderr, folder

    def rows(self, kind):
        return [line[1:] for line in self.lines if line[0] == kind]

    def row(self, kind):
        row, = self.rows(kind)
        return row

    @property
    def counts(self):
        return tuple(map(int, self.row("calls")))


class Sessions(Packages):
    def probe(self, front, feeds=None, home=None, libraries=None, **options):
        """Options whose value is None are left out."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT))
        options = {"ort": RUNTIME, "outputs": folder, "report": folder / "report.json"} | options
        arguments = [f"{key}={value}" for key, value in options.items() if value is not None]
        for name, array in (feeds or {}).items():
            (folder / f"{name}.in").write_bytes(array.tobytes())
            dims = ",".join(map(str, array.shape))
            arguments.append(f"input={name}:{TYPES[array.dtype]}:{dims}:{folder / f'{name}.in'}")
        environment = {**os.environ, "HOME": str(home or provider_case.HOME)}
        if libraries:
            environment["LD_LIBRARY_PATH"] = str(libraries)
        done = subprocess.run([PROBE, front, *map(str, arguments)], env=environment, capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stderr, "", "a library prints nothing")
        return Answer(done, folder)

    def opened(self, front, feeds, exact=False, **options):
        """Runs it and compares the outputs with those of plain ONNX Runtime."""
        reference = options.pop("reference", front)
        answer = self.probe(front, feeds, **options)
        self.assertEqual(answer.exit_code, 0, answer.lines)
        session = plain(reference)
        for output, expected in zip(session.get_outputs(), session.run(None, feeds)):
            found = np.frombuffer((answer.folder / output.name).read_bytes(), expected.dtype).reshape(expected.shape)
            if exact:
                np.testing.assert_array_equal(found, expected)
            else:
                np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
        return answer

    def refused(self, code, words, front, **options):
        answer = self.probe(front, models.inputs(), **options)
        self.assertEqual(answer.exit_code, 1, answer.lines)
        found_code, message = answer.row("error")
        self.assertEqual(found_code, code, message)
        for word in words:
            self.assertIn(word, message)
        return message


class Runs(Sessions):
    def test_compiled(self):
        """a trusted package runs compiled, and the session says what ran"""
        front, _ = self.package("two_layers", "--target", "host")
        for batch, length in ((1, 1), (3, 50)):
            answer = self.opened(front, models.inputs(batch, length), strict=1)
        self.assertEqual(answer.counts, (2, 0))
        chosen = {d[0]: d[1] for d in answer.rows("decision") if d[2] == "chosen"}
        self.assertEqual({c[0]: c[1] for c in answer.rows("call")}, chosen)
        self.assertEqual(len(chosen), 2)
        self.assertEqual(answer.row("runtime"), ["1.31.1"])

    def test_same_trace_as_why_and_the_provider(self):
        """decisions are those of bctx-inspect why and of the provider's report"""
        import json
        front, _ = self.package("two_layers")
        answer = self.opened(front, models.inputs())
        keys = ("partition", "context", "outcome", "reason", "detail")
        why = json.loads(models.inspect("why", front, "--json", home=provider_case.HOME))
        _, report = self.report(front)
        decisions = [[d[key] for key in keys] for d in why["decisions"]]
        self.assertEqual(answer.rows("decision"), decisions)
        ours = json.loads((answer.folder / "report.json").read_text())
        self.assertEqual(ours["decisions"], report["decisions"])
        self.assertEqual(ours["observed"]["calls"], report["observed"]["calls"])
        self.assertEqual(ours["policy"], report["policy"])

    def test_from_memory(self):
        """a front's bytes run compiled with the container found in the folder, bodies checked"""
        front, container = self.package("two_layers", "--target", "host")
        moved = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT))
        bytes_alone = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT)) / "bytes"
        shutil.copy(front, bytes_alone)
        shutil.copy(container, moved)
        for options in ({}, {"integrity": "full"}):
            answer = self.opened(bytes_alone, models.inputs(), memory=moved, reference=front, strict=1, **options)
            self.assertEqual(answer.counts, (2, 0))
        self.refused("io", [container.name], bytes_alone, memory=bytes_alone.parent)

    def test_embedded(self):
        """a package in one file runs compiled from its path and from memory"""
        front, _ = self.package("two_layers", "--target", "host", "--embed")
        for options in ({}, {"memory": "/nonexistent"}):
            answer = self.opened(front, models.inputs(), strict=1, **options)
            self.assertEqual(answer.counts, (2, 0))

    def test_metadata_front_is_lowered(self):
        """a front in the metadata encoding is lowered to calls; without lowering its nodes are claimed"""
        front, _ = self.package("two_layers", "--target", "host", "--encoding", "metadata")
        answer = self.opened(front, models.inputs(), strict=1)
        self.assertEqual(answer.counts, (2, 0))
        self.assertRegex(answer.row("lowered")[0], "^cpu-attention/")
        answer = self.opened(front, models.inputs(), lower=0)
        self.assertEqual(answer.row("lowered"), ["", ""])

    def test_symlinked_cache(self):
        """a package whose files are links runs compiled; one to be lowered runs as it is"""
        answer = self.opened(self.linked("two_layers", "--target", "host"), models.inputs(), strict=1)
        self.assertEqual(answer.counts, (2, 0))
        linked = self.linked("two_layers", "--target", "host", "--encoding", "metadata")
        answer = self.opened(linked, models.inputs())
        self.assertEqual(answer.row("lowered"), ["", "the container is reached through a link"])

    def test_edited_front_is_not_lowered(self):
        """what another tool changed in a front is kept: it runs as it is, and says why"""
        front, container = self.copy("two_layers", "--target", "host", "--encoding", "metadata")
        model = onnx.load(front, load_external_data=False)
        model.graph.node.append(onnx.helper.make_node("Neg", ["y"], ["z"]))
        model.graph.output[0].name = "z"
        onnx.save(model, front)
        answer = self.opened(front, models.inputs())
        self.assertEqual(answer.row("lowered"), ["", "the front was edited after it was packed"])

    def test_several_threads(self):
        """sessions opened and run on several threads at once give the same bytes"""
        front, _ = self.package("two_layers", "--target", "host")
        answer = self.opened(front, models.inputs(), threads=4, strict=1)
        self.assertEqual(answer.counts, (2, 0))

    def test_into_buffers(self):
        """outputs go into the caller's memory"""
        front, _ = self.package("two_layers", "--target", "host")
        self.opened(front, models.inputs(), into=1)

    def test_plain_model(self):
        """a model that is no package runs, and under strict it does not"""
        path = provider_case.ROOT / "plain.onnx"
        onnx.save(models.two_layers(), path)
        answer = self.opened(path, models.inputs(), exact=True)
        self.assertEqual(answer.counts, (0, 0))
        self.assertIn("no property backendctx.front", answer.row("declined")[0])
        self.refused("incompatible", ["strict", "no property"], path, strict=1)

    def test_sample(self):
        """the sample host runs a package and prints what was decided"""
        front, _ = self.package("two_layers", "--target", "host")
        done = subprocess.run([SAMPLE, front, RUNTIME, "cpu-attention"], capture_output=True, text=True,
                              env={**os.environ, "HOME": str(provider_case.HOME)})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("2 compiled, 0 interpreted\noutput y: 65536 bytes\n", done.stdout)
        self.assertEqual(done.stdout.count(": chosen, ok: "), 2)


class FallsBack(Sessions):
    def interpreted(self, reason, front, code="incompatible", **options):
        answer = self.opened(front, models.inputs(), exact=True, **options)
        self.assertEqual(answer.counts[0], 0)
        self.assertEqual({d[3] for d in answer.rows("decision")}, {reason})
        partitions = {d[0] for d in answer.rows("decision")}
        message = self.refused(code, ["strict", *(f"partition {p}: {reason}: " for p in partitions)], front, strict=1,
                               **options)
        return answer, message

    def test_untrusted(self):
        """a package of somebody else runs interpreted; with the key, or where the tools trust it, compiled"""
        front, _ = self.package("two_layers", "--target", "host")
        _, message = self.interpreted("untrusted", front, "untrusted", home=provider_case.OTHER_HOME)
        self.assertIn("which is not trusted", message)
        self.interpreted("untrusted", front, "untrusted", trust_folders=0)
        keys = provider_case.HOME / ".config" / "backendctx" / "trust.d"
        answer = self.opened(front, models.inputs(), home=provider_case.OTHER_HOME, keys=keys, strict=1)
        self.assertEqual(answer.counts, (2, 0))

    def test_unsigned(self):
        """an unsigned package runs interpreted"""
        self.interpreted("untrusted", self.package("two_layers", "--target", "host", "--no-sign")[0], "untrusted")

    def test_another_machine(self):
        """code for another machine runs interpreted, as does what a given profile cannot run"""
        self.interpreted("incompatible", self.package("two_layers", "--target", "aarch64")[0])
        profile = pathlib.Path(os.environ["BCTX_SOURCE"]) / "samples/hosts/x86-64-v2.json"
        self.interpreted("incompatible", self.package("two_layers", "--target", "host")[0], profile=profile)

    def test_no_driver(self):
        """without a driver beside the library the bodies run"""
        folder = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT))
        for name in ("libbackendctx_ort.so", "libbackendctx.so.0"):
            shutil.copy(models.BUILD / "lib" / name, folder)
        self.interpreted("no-driver", self.package("two_layers", "--target", "host")[0], libraries=folder)

    def test_stale(self):
        """a call whose body was edited runs the edited body"""
        front, _ = self.copy("two_layers", "--target", "host")
        model = onnx.load(front, load_external_data=False)
        for function in model.functions:
            for node in function.node:
                if node.op_type == "Attention":
                    node.attribute.append(onnx.helper.make_attribute("scale", 0.5))
        onnx.save(model, front)
        self.interpreted("stale", front)


class Stops(Sessions):
    def test_tampered(self):
        """an altered byte of code stops Open; one of a weight does under full integrity"""
        front, container = self.copy("two_layers", "--target", "host")
        self.flip_weight(container, front)
        self.refused("corrupt", [container.name], front, integrity="full")
        front, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        self.refused("corrupt", [], front)

    def test_options(self):
        """options that make no sense are named, as is a runtime that is none"""
        front, _ = self.package("two_layers", "--target", "host")
        self.refused("invalid-argument", ["there is no backend nobody"], front, backends="nobody")
        self.refused("invalid-argument", ["assume_stored"], front, assume_stored=1)
        self.refused("io", ["ONNX Runtime's library", "/nonexistent"], front, ort="/nonexistent")
        self.refused("invalid-argument", ["expected a front"], self.package("two_layers", "--target", "host")[1])

    def test_inputs(self):
        """inputs that are not the model's are refused by name, and a session goes on"""
        front, _ = self.package("two_layers", "--target", "host")
        wrong = self.probe(front, {"nothing": models.inputs()["x"]})
        self.assertEqual(wrong.row("error")[0], "invalid-argument")
        self.assertIn("nothing", wrong.row("error")[1])
        integers = self.probe(front, {"x": models.inputs()["x"].astype(np.int64)})
        self.assertEqual(integers.row("error")[0], "invalid-argument")

    def test_ticket(self):
        """the option by which session and provider meet cannot be made up"""
        self.assert_refused(["session", "is not known"], self.package("two_layers", "--target", "host")[0],
                            session="1")


if __name__ == "__main__":
    cases.main()
