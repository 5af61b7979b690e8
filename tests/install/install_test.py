"""The installed tree: moved, found by another project, used by its program and by the installed tools."""
import os
import pathlib
import shutil
import subprocess
import unittest

import onnx

import bctx
import cases
import sample_models

PROJECT = pathlib.Path(__file__).parent / "project"
TOOLS = bctx.DEPS / "venv" / "bin"


def run(*command, **environment):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        context = bctx.folder()
        cls.place = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        run(TOOLS / "cmake", "--install", bctx.BUILD, "--prefix", cls.place / "first")
        cls.tree = cls.place / "moved"
        cls.place.joinpath("first").rename(cls.tree)
        library, = cls.tree.rglob("libbackendctx.so")
        cls.lib, cls.bin = library.parent, cls.tree / "bin"
        cls.user = bctx.User(cls.place / "home")
        cls.user.environment["PATH"] = f"{cls.bin}:/usr/bin:/bin"
        runtime, = (bctx.BUILD / "lib").glob("libonnxruntime.so.1")
        cls.user.environment["BACKENDCTX_ORT_LIBRARY"] = str(runtime)
        onnx.save(sample_models.decomposed(), cls.place / "model.onnx")
        cls.package = cls.place / "package.onnx"
        cls.packed = cls.user.json("bctx-pack", "pack", cls.place / "model.onnx", "-o", cls.package, "--target", "host")

    def test_headers_are_those_of_the_source(self):
        installed = {path.name: path.read_text() for path in (self.tree / "include" / "backendctx").iterdir()}
        source = {path.name: path.read_text() for path in (bctx.SOURCE / "libbackendctx/include/backendctx").iterdir()}
        self.assertEqual(sorted(installed), sorted(source))
        self.assertEqual(installed, source)

    def test_the_installed_tools_pack_prove_and_run(self):
        self.assertEqual({c["proof"] for c in self.packed["contexts"]}, {"passed"})
        ran = self.user.json("bctx-inspect", "run", self.package, "--compare")
        self.assertEqual(ran["report"]["observed"]["compiled"], 2)

    def test_nothing_points_back_into_the_build_folder(self):
        for path in [*self.lib.glob("*.so"), *self.bin.iterdir()]:
            dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True).stdout
            self.assertNotIn(str(bctx.BUILD), dynamic, path.name)
        for path in self.lib.rglob("*.cmake"):
            self.assertNotIn(str(bctx.BUILD), path.read_text(), path.name)

    def test_another_project_finds_it_and_its_process_holds_no_compiler(self):
        build = self.place / "consumer"
        run(TOOLS / "cmake", "-S", PROJECT, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
            f"-DCMAKE_PREFIX_PATH={self.tree}", "-DCMAKE_CXX_COMPILER_LAUNCHER=" + (shutil.which("ccache") or ""))
        run(TOOLS / "cmake", "--build", build)
        key = self.user.home / ".config/backendctx/key.pub"
        said = dict(line.split(" ", 1) for line in run(build / "consumer", self.package, key).splitlines())
        self.assertEqual(said, {"contexts": "2", "chosen": "2", "version": said["version"], "library": "1",
                                "provider": "1", "LLVM": "0", "lld": "0"})
        self.assertRegex(said["version"], r"^0\.1\.")
        self.assertEqual(run(build / "host", self.package, self.user.environment["BACKENDCTX_ORT_LIBRARY"],
                             HOME=str(self.user.home)), "2 compiled\n")


if __name__ == "__main__":
    cases.main()
