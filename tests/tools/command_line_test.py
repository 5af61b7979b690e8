"""Runs the cases of command_lines.txt: exit code, messages, and which files are left behind."""
import fnmatch
import os
import pathlib
import shutil
import tempfile
import unittest

import onnx

import bctx
import cases
import sample_models

SCRIPT = pathlib.Path(__file__).with_name("command_lines.txt")


class Case:
    def __init__(self, title):
        self.title, self.command, self.restricted, self.code = title, "", False, None
        self.out, self.err, self.files = [], [], []


def read_cases(text):
    found, heading = [], True
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if heading:  # the essay on top ends at the first empty line
            heading = bool(line)
        elif mark == "#":
            found.append(Case(rest))
        elif mark in ("$", "!"):
            found[-1].command, found[-1].restricted = rest, mark == "!"
        elif mark == "=":
            found[-1].code = int(rest)
        elif mark == ">":
            found[-1].out.append(rest)
        elif mark == "2>":
            found[-1].err.append(rest)
        elif mark == "+":
            found[-1].files.append(rest)
        elif line:
            raise ValueError(f"{SCRIPT.name}: not understood: {line}")
    return found


def matches(line, pattern):
    return fnmatch.fnmatchcase(line, pattern.replace("[", "[[]"))


def missing_line(text, patterns):
    """The first pattern that no line matches, looking onwards from the match before."""
    lines = iter(text.splitlines())
    for pattern in patterns:
        if not any(matches(line, pattern) for line in lines):
            return pattern
    return None


def make_samples(folder):
    for name, model in [("attention", sample_models.decomposed()), ("operator", sample_models.operator()),
                        ("branches", sample_models.branches()), ("plain", sample_models.without_attention())]:
        onnx.save(model, folder / f"{name}.onnx")
    sample_models.save_external(sample_models.decomposed(), folder / "external.onnx", "external.bin")
    sample_models.save_external(sample_models.decomposed(), folder / "orphan.onnx", "gone.bin")
    (folder / "gone.bin").unlink()
    future = sample_models.without_attention()
    future.opset_import[0].version = 99
    onnx.save(future, folder / "future.onnx")
    (folder / "text.onnx").write_text("this is not a model\n")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "readonly").mkdir(mode=0o555)
    (folder / "home").mkdir()


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


class CommandLines(unittest.TestCase):
    """One test method for each case; see below."""

    @classmethod
    def setUpClass(cls):
        cls.samples = pathlib.Path(tempfile.mkdtemp(prefix="bctx-samples-"))
        make_samples(cls.samples)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.samples)

    def check(self, case):
        with bctx.folder() as place:
            work = place / "work"
            shutil.copytree(self.samples, work)
            before = files_in(work)
            user = bctx.User(work / "home")
            done = user.run("bash", "-c", case.command, cwd=work, restricted=case.restricted)
            what = f"\n$ {case.command}\n{done.stdout}{done.stderr}"
            self.assertEqual(done.returncode, case.code, what)
            self.assertIsNone(missing_line(done.stdout, case.out), what)
            self.assertIsNone(missing_line(done.stderr, case.err), what)
            if not case.err and case.code == 0:
                self.assertNotIn("error", done.stderr, what)
            left = files_in(work) - before
            for pattern in case.files:
                self.assertTrue(any(fnmatch.fnmatchcase(name, pattern) for name in left), f"{pattern} in {left}")
            extra = [n for n in left if not any(fnmatch.fnmatchcase(n, p) for p in case.files)]
            self.assertEqual(extra, [], what)
            for name in before:  # an input file is never modified
                self.assertEqual((work / name).read_bytes(), (self.samples / name).read_bytes(), name)


def add_method(case, number):
    def test(self):
        self.check(case)
    test.__doc__ = case.title
    setattr(CommandLines, f"test_{number:03d}", test)


for index, one in enumerate(read_cases(SCRIPT.read_text())):
    add_method(one, index)


class TheScriptItself(unittest.TestCase):
    def test_a_wrong_expectation_is_noticed(self):
        self.assertEqual(missing_line("a\nb\n", ["b", "a"]), "a")
        self.assertIsNone(missing_line("a\nx\nb\n", ["a", "b*"]))
        self.assertFalse(matches("x[1m", "x?1m?"))

    def test_every_case_has_a_command_and_an_exit_code(self):
        found = read_cases(SCRIPT.read_text())
        self.assertGreater(len(found), 40)
        for case in found:
            self.assertTrue(case.command and case.code is not None, case.title)


if __name__ == "__main__":
    cases.main()
