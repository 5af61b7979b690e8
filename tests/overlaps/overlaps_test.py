"""Scopes that overlap at random, in ONNX Runtime: stock, and through the provider with every order of preference."""
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import bctx
import cases
import numpy as np
import onnxruntime as ort

COUNT = 600 if os.environ.get("BCTX_TEST_LONG") else 12
BACKENDS = ("toy-a", "toy-b", "toy-c")
FRONTS = ("package.onnx", "package.flat.onnx")
FEEDS = [{"x": np.random.default_rng(seed).standard_normal((4, 16)).astype(np.float32),
          "second": np.random.default_rng(seed + 1).standard_normal((4, 16)).astype(np.float32),
          "flag": np.array(seed % 2 == 0)} for seed in (0, 1)]
PLAIN = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


class Made:
    """One line of write_overlaps: nodes of each partition, partitions of each scope."""

    def __init__(self, folder, line):
        seed, *parts = line.split("\t")
        self.folder = folder / seed
        self.nodes, self.scopes = {}, {}
        for kind, name, rest in (part.split(" ", 2) for part in parts):
            if kind == "scope":
                self.scopes[name] = [p for p in rest.split(",") if p]
            else:
                path, nodes = rest.split(" ", 1)
                self.nodes[name] = (path.rstrip("/"), {n for n in nodes.split(",") if n})

    def overlap(self, one, other):
        (path, nodes), (other_path, other_nodes) = self.nodes[one], self.nodes[other]
        if path == other_path:
            return bool(nodes & other_nodes)
        return (any(other_path.startswith(f"{path}/{n}.") for n in nodes)
                or any(path.startswith(f"{other_path}/{n}.") for n in other_nodes))

    def expected(self, order):
        """partition -> backend of those that are to run, in the order of preference."""
        chosen = {}
        for backend in order:
            for partition in self.scopes[backend]:
                if partition not in chosen and not any(self.overlap(partition, other) for other in chosen
                                                       if chosen[other] != backend):
                    chosen[partition] = backend
        return chosen


class Overlaps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        place = bctx.folder()
        cls.place = cls.enterClassContext(place) if hasattr(cls, "enterClassContext") else place.__enter__()
        if not hasattr(cls, "enterClassContext"):
            cls.addClassCleanup(place.__exit__, None, None, None)
        # The provider looks for drivers beside its library.
        library = cls.place / "lib"
        library.mkdir()
        for file in ("libbackendctx_ort.so", "libbackendctx.so.0"):
            shutil.copy(bctx.BUILD / "lib" / file, library)
        for driver in (bctx.BUILD / "tests" / "overlaps" / "drivers").glob("*.so"):
            shutil.copy(driver, library)
        ort.register_execution_provider_library("backendctx", str(library / "libbackendctx_ort.so"))
        ort.set_default_logger_severity(4)
        lines = subprocess.run([bctx.BUILD / "bin" / "write_overlaps", cls.place, "1", str(COUNT)], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
        cls.made = [Made(cls.place, line) for line in lines]

    def run_all(self, path, level=None, **options):
        session_options = ort.SessionOptions()
        session_options.intra_op_num_threads = 1
        session_options.log_severity_level = 4
        if level is not None:
            session_options.graph_optimization_level = level
        if options:
            devices = [d for d in ort.get_ep_devices() if d.ep_name == bctx.PROVIDER]
            session_options.add_provider_for_devices(devices, {k: str(v) for k, v in options.items()})
            session = ort.InferenceSession(str(path), session_options)
        else:
            session = ort.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
        return [session.run(None, feed) for feed in FEEDS]

    def assert_same(self, found, expected):
        for ours, theirs in zip(found, expected, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)

    def test_stock(self):
        """stock ONNX Runtime computes of every front what the model computes"""
        for made in self.made:
            with self.subTest(made.folder.name):
                expected = self.run_all(made.folder / "model.onnx")
                for front in FRONTS:
                    self.assert_same(self.run_all(made.folder / front), expected)

    def session(self, made, front, order, level):
        report = made.folder / "report.json"
        outputs = self.run_all(made.folder / front, level, backends=",".join(order), report=report,
                               trusted_keys=self.place / "key.pub")
        return outputs, json.loads(report.read_text())

    def test_orders(self):
        """with every order of preference the backends asked for run, and the answer is the same"""
        ran = lost = 0
        for made in self.made:
            expected = self.run_all(made.folder / "model.onnx")
            for front, order in itertools.product(FRONTS, itertools.permutations(BACKENDS)):
                with self.subTest(f"{made.folder.name} {front} {order}"):
                    outputs, report = self.session(made, front, order, PLAIN)
                    self.assert_same(outputs, expected)
                    counts = self.check(made, order, report)
                    ran, lost = ran + counts[0], lost + counts[1]
        print(f"{len(self.made)} models, {ran} partitions compiled, {lost} left to their nodes")
        self.assertGreater(ran, 10 * len(self.made))
        self.assertLess(lost, 0.1 * ran)

    def check(self, made, order, report):
        """The decisions against those worked out here; how many ran, and how many were found not to fit together."""
        chosen = made.expected(order)
        ran = {call["partition"]: call.get("context") for call in report["observed"]["calls"]
               if call["ran"] == "compiled"}
        lost = 0
        for decision in report["decisions"]:
            partition = decision["partition"]
            backend = decision["context"].split("/")[1]
            if chosen.get(partition) == backend:
                if decision["outcome"] == "chosen":
                    self.assertEqual(ran.get(partition), decision["context"], report)
                else:
                    # Sound scopes of two backends may wait for each other; never those of one.
                    self.assertEqual(decision["reason"], "rewritten", decision)
                    self.assertRegex(decision["detail"], "waits for|comes back")
                    self.assertNotEqual(backend, order[0], decision)
                    lost += 1
            else:
                self.assertEqual(decision["outcome"], "rejected", decision)
                first = next(b for b in order if partition in made.scopes[b])
                reason = "overlaps" if partition not in chosen and backend == first else "outranked"
                self.assertEqual(decision["reason"], reason, decision)
        return len(ran), lost

    def test_optimised(self):
        """what the runtime rewrote runs as nodes, says so, and gives the same answer"""
        reasons = set()
        for made in self.made[::2]:
            expected = self.run_all(made.folder / "model.onnx")
            for front in FRONTS:
                with self.subTest(f"{made.folder.name} {front}"):
                    outputs, report = self.session(made, front, BACKENDS, None)
                    self.assert_same(outputs, expected)
                    for decision in report["decisions"]:
                        if decision["reason"] == "rewritten":
                            reasons.add(decision["detail"].split("'")[0])
                            self.assertTrue(decision["detail"])
        print("rewritten:", "; ".join(sorted(reasons)))

    def probe(self, made, front, order, **options):
        """Outputs of a Session, what ran compiled (partition -> node), and the scopes that it was lowered for."""
        place = made.folder / "session"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        feed, arguments = FEEDS[0], []
        for name, kind in (("x", 1), ("second", 1), ("flag", 9)):
            if name in {i.name for i in self.plain_inputs(made)}:
                (place / f"{name}.in").write_bytes(feed[name].tobytes())
                arguments.append(f"input={name}:{kind}:{','.join(map(str, feed[name].shape))}:{place / name}.in")
        options = {"ort": bctx.DEPS / "ort" / "1.31.1", "backends": ",".join(order), "outputs": place,
                   "keys": self.place / "key.pub", "trust_folders": 0} | options
        done = subprocess.run([bctx.BUILD / "bin" / "session_probe", made.folder / front,
                               *(f"{key}={value}" for key, value in options.items()), *arguments],
                              env={**os.environ, "LD_LIBRARY_PATH": str(self.place / "lib")},
                              stdout=subprocess.PIPE, text=True)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 0, lines)
        ran = {line[1]: line[4] for line in lines if line[0] == "call" and line[2]}
        lowered, = (line[1] for line in lines if line[0] == "lowered")
        return place, ran, lowered

    def plain_inputs(self, made):
        return ort.InferenceSession(str(made.folder / "model.onnx"), providers=["CPUExecutionProvider"]).get_inputs()

    def test_sessions(self):
        """a Session is lowered for what each order prefers, runs at least as much of it, and gives the same answer"""
        lowered_count = 0
        for made in self.made[:2]:
            plain = ort.InferenceSession(str(made.folder / "model.onnx"), providers=["CPUExecutionProvider"])
            names = {i.name for i in plain.get_inputs()}
            expected = plain.run(None, {k: v for k, v in FEEDS[0].items() if k in names})
            for front, order in itertools.product(FRONTS, (BACKENDS, BACKENDS[::-1])):
                with self.subTest(f"{made.folder.name} {front} {order}"):
                    _, unlowered, _ = self.probe(made, front, order, lower=0)
                    place, ran, scopes = self.probe(made, front, order)
                    for output, value in zip(plain.get_outputs(), expected, strict=True):
                        found = np.frombuffer((place / output.name).read_bytes(), value.dtype).reshape(value.shape)
                        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-6)
                    self.assertGreaterEqual(len(ran), len(unlowered))
                    # What was found among the nodes is known by the value that it makes, a call by its own name.
                    called = {p for p in ran if p in unlowered and ran[p] != unlowered[p]}
                    self.assertEqual(bool(called), bool(scopes), (scopes, unlowered, ran))
                    lowered_count += bool(scopes)
        print(f"{lowered_count} sessions lowered")
        self.assertGreater(lowered_count, 0)


if __name__ == "__main__":
    cases.main()
