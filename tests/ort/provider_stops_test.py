"""What stops a session with the provider, and the provider in other hosts than this Python module."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

import cases
import models
import provider_case
from provider_case import PROVIDER, Packages, plain, provided


def setUpModule():
    provider_case.set_up()


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
        self.assert_refused(["strict", "untrusted"], front, home=provider_case.OTHER_HOME, strict=1)
        foreign, _ = self.package("two_layers", "--target", "aarch64")
        self.assert_refused(["strict", "incompatible", "expected aarch64"], foreign, strict=1)

    def test_inside_if(self):
        """what stops a session does so where all nodes lie in branches as well"""
        front, container = self.copy("in_branches", "--target", "host")
        self.assert_refused(["provider option stict: is not known"], front, stict=1)
        self.assert_refused(["strict", "untrusted"], front, strict=1, home=provider_case.OTHER_HOME)
        self.flip_code(container)
        self.assert_refused(["corrupt", container.name], front)

    def test_unknown_option(self):
        """an unknown option stops the session and names the known ones, for a plain model too"""
        path = provider_case.ROOT / "plain-for-options.onnx"
        onnx.save(models.no_attention(), path)
        for model in (self.package("two_layers", "--target", "host")[0], path):
            self.assert_refused(["provider option stict: is not known", "strict", "trusted_keys"], model, stict=1)
            self.assert_refused(["provider option strict: found 'maybe', expected 1 or 0"], model, strict="maybe")

    def test_unknown_backends(self):
        """a backend that nobody has stops the session and the known ones are named"""
        path = provider_case.ROOT / "plain-for-backends.onnx"
        onnx.save(models.no_attention(), path)
        front, _ = self.package("two_layers", "--target", "host")
        for model in (front, path):
            for names in ("none", "cpu-attention,gpu-attention"):
                self.assert_refused(["provider option backends: there is no backend", "known are cpu-attention"],
                                    model, backends=names)
        _, report = self.report(front, backends="cpu-attention")
        self.assert_compiled(report, 2)

    def test_report_of_options_in_error(self):
        """the report is written when another option is in error"""
        path = provider_case.ROOT / "options-report.json"
        front, _ = self.package("two_layers", "--target", "host")
        self.assert_refused(["stict"], front, stict=1, report=path)
        report = json.loads(path.read_text())
        self.assertIn("stict: is not known", report["observed"]["error"])
        self.assertEqual(report["file"], str(front))

    def test_options_of_backends(self):
        """an option of a backend that is not there, or that it does not take, stops the session"""
        front, _ = self.package("two_layers", "--target", "host")
        self.assert_refused(["there is no backend nobody; known are cpu-attention"], front, **{"nobody.key": 1})
        self.assert_refused(["cpu-attention.speed: is not known"], front, **{"cpu-attention.speed": 1})

    def test_damaged_key(self):
        """a key in the trust folder that cannot be read stops the session of a package and is named"""
        front, _ = self.package("two_layers", "--target", "host")
        home = pathlib.Path(tempfile.mkdtemp(dir=provider_case.ROOT))
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
        path = provider_case.ROOT / "error-report.json"
        front, _ = self.package("two_layers", "--target", "aarch64")
        self.assert_refused(["strict"], front, strict=1, report=path)
        self.assertIn("strict", json.loads(path.read_text())["observed"]["error"])


def runtime_file(version):
    return next((models.DEPS / "ort" / version).glob("libonnxruntime.so*"))


class OtherHosts(Packages):
    def sample(self, version, front, *options, home=None):
        command = [models.BUILD / "bin" / "run_package", runtime_file(version), models.PROVIDER_LIBRARY, front]
        return subprocess.run([*command, *options], env={**os.environ, "HOME": str(home or provider_case.HOME)},
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
            done = self.sample(version, front, home=provider_case.OTHER_HOME)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("BackendContext: 0 compiled, 2 interpreted: 2 untrusted: signed by", done.stdout)

    def test_cpp_host_errors(self):
        """corrupt code, strict and unknown options stop a C++ session as well"""
        corrupt, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        front, _ = self.package("two_layers", "--target", "host")
        for version in ("1.23.2", "1.31.1"):
            for words, done in (("BackendContext: corrupt: ", self.sample(version, corrupt)),
                                ("strict: ", self.sample(version, front, "strict=1", home=provider_case.OTHER_HOME)),
                                ("is not known; known are", self.sample(version, front, "stict=1"))):
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(words, done.stderr)

    def test_exports(self):
        """the provider exports the two functions of its interface and Session, and is not linked to ONNX Runtime"""
        symbols = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", models.PROVIDER_LIBRARY],
                                 capture_output=True, text=True, check=True).stdout
        exported = {line.split()[0] for line in symbols.splitlines()}
        session = {name for name in exported if re.match("_ZNK?10backendctx7Session[1-9]", name)}
        self.assertEqual(exported - session, {"CreateEpFactories", "ReleaseEpFactory"})
        self.assertEqual(len(session), 9, session)
        needed = subprocess.run(["readelf", "-d", models.PROVIDER_LIBRARY], capture_output=True, text=True,
                                check=True).stdout
        self.assertIn("libbackendctx.so", needed)
        self.assertNotIn("onnxruntime", needed)

    def test_python_sample(self):
        """the Python sample runs a package compiled"""
        front, _ = self.package("two_layers", "--target", "host")
        script = pathlib.Path(os.environ["BCTX_SOURCE"]) / "samples" / "run_package.py"
        done = subprocess.run([sys.executable, script, models.PROVIDER_LIBRARY, front, "strict=1"],
                              env={**os.environ, "HOME": str(provider_case.HOME)}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 compiled, 0 interpreted", done.stdout)
        self.assertIn("y [16, 16, 64] crc32 ", done.stdout)

    def test_old_python_module(self):
        """the Python module of the oldest ONNX Runtime runs a package compiled and stops a corrupt one"""
        module = models.DEPS / "ort" / "1.23.2" / "python"
        script = pathlib.Path(os.environ["BCTX_SOURCE"]) / "samples" / "run_package.py"
        corrupt, container = self.copy("two_layers", "--target", "host")
        self.flip_code(container)
        environment = {**os.environ, "HOME": str(provider_case.HOME), "PYTHONPATH": str(module)}
        for front, code, words in ((self.package("two_layers", "--target", "host")[0], 0, "2 compiled, 0 interpreted"),
                                   (corrupt, 1, "BackendContext: corrupt: ")):
            done = subprocess.run([sys.executable, script, models.PROVIDER_LIBRARY, front], env=environment,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(words, done.stdout + done.stderr)


if __name__ == "__main__":
    cases.main()
