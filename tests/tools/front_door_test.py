"""The front door: usage errors, a test runner that cannot lose a failure, and what only lint sees."""
import contextlib
import io
import pathlib
import shutil
import subprocess
import sys
import unittest

import bctx
import cases

sys.path[:0] = [str(bctx.SOURCE / "scripts"), str(bctx.SOURCE / "demo")]
import one_source  # noqa: E402
import premise  # noqa: E402
import run_tests  # noqa: E402

CATCH = """<?xml version="1.0" encoding="UTF-8"?>
<Catch name="x"><Group name="x">
 <TestCase name="holds"><OverallResult success="true"/></TestCase>
 <TestCase name="breaks"><Expression success="false" type="CHECK" filename="a.cc" line="7">
   <Original>a == b</Original><Expanded>1 == 2</Expanded></Expression><OverallResult success="false"/></TestCase>
 <TestCase name="waits"><Warning>SKIPPED: no such CPU</Warning><OverallResult success="true"/></TestCase>
</Group></Catch>
"""


class FrontDoor(unittest.TestCase):
    def dev(self, *arguments):
        return subprocess.run([bctx.SOURCE / "dev", *arguments], capture_output=True, text=True)

    def test_wrong_commands_are_usage_errors(self):
        for arguments in (["brew"], ["build", "twice"], ["test", "--short"], ["demo", "now"]):
            done = self.dev(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(arguments[-1], done.stderr)

    def test_without_a_command_it_lists_them(self):
        done = self.dev()
        self.assertEqual(done.returncode, 0)
        for command in ("build", "test", "demo", "bench", "lint", "format"):
            self.assertIn(f"  {command} ", done.stdout)


class FreshMachine(unittest.TestCase):
    """The front door in a checkout whose set-up and tools only pretend."""

    def setUp(self):
        context = bctx.folder()
        self.place = pathlib.Path(context.__enter__())
        self.addCleanup(context.__exit__, None, None, None)
        for name in ("dev", "CMakePresets.json"):
            shutil.copy(bctx.SOURCE / name, self.place)
        self.script("scripts/setup", 'echo "$PWD/prefix"')
        self.script("prefix/venv/bin/cmake", 'echo run >>"$PWD/configured"')
        self.script("prefix/venv/bin/ninja", "touch build/build.ninja")

    def script(self, name, text):
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def build(self):
        return subprocess.run([self.place / "dev", "build"], capture_output=True, text=True)

    def configured(self):
        return len((self.place / "configured").read_text().splitlines())

    def test_it_configures_once_and_again_when_the_packages_of_the_tests_have_come(self):
        for times in (1, 1):
            done = self.build()
            self.assertEqual((done.returncode, self.configured()), (0, times), done.stderr)
            self.assertIn("up to date", done.stderr)
        (self.place / "prefix/.done-consumers").touch()
        self.assertEqual((self.build().returncode, self.configured()), (0, 2))

    def test_no_failure_is_without_a_word(self):
        self.script("scripts/setup", "exit 3")
        done = self.build()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("dev: error", done.stderr)


class Runner(unittest.TestCase):
    def read(self, function, text):
        skips, lines = [], []
        with bctx.folder() as place:
            report = pathlib.Path(place) / "report"
            report.write_text(text)
            totals = function(report, skips, lines)
        return (totals.passed, totals.failed, totals.skipped), skips, "\n".join(lines)

    def test_cases_of_a_native_program_are_counted_and_failures_told(self):
        counts, skips, said = self.read(run_tests.read_catch, CATCH)
        self.assertEqual((counts, skips), ((1, 1, 1), [("waits", "no such CPU")]))
        self.assertIn("a.cc:7: a == b", said)

    def test_a_report_that_is_cut_off_is_no_success(self):
        with self.assertRaises(Exception):
            self.read(run_tests.read_catch, CATCH[:200])
        with self.assertRaises(ValueError):
            self.read(run_tests.read_lines, "passed\ta\t\n")

    def test_cases_of_a_python_program_are_counted(self):
        counts, skips, _ = self.read(run_tests.read_lines, "passed\ta\t\nfailed\tb\t\nskipped\tc\tno\nend\n")
        self.assertEqual((counts, skips), ((1, 1, 1), [("c", "no")]))

    def program(self, command):
        with bctx.folder() as place:
            totals, _, lines = run_tests.run_program(("x", command, ["python"], {}, str(place)), place)
        self.assertIn(f"{totals.passed} passed, {totals.failed} failed", lines[-1])
        return totals.passed, totals.failed, totals.skipped

    def test_a_program_that_dies_without_a_report_fails(self):
        self.assertEqual(self.program(["sh", "-c", "exit 3"]), (0, 1, 0))
        self.assertEqual(self.program(["/no/such/program"]), (0, 1, 0))
        self.assertEqual(self.program([]), (0, 1, 0))

    def test_a_program_that_fails_after_its_cases_passed_fails(self):
        report = 'printf "passed\\ta\\t\\nend\\n" > "$BCTX_TEST_REPORT"; exit '
        self.assertEqual(self.program(["sh", "-c", report + "0"]), (1, 0, 0))
        self.assertEqual(self.program(["sh", "-c", report + "1"]), (1, 1, 0))

    def test_a_program_without_cases_fails(self):
        self.assertEqual(self.program(["sh", "-c", 'echo end > "$BCTX_TEST_REPORT"']), (0, 1, 0))

    def test_programs_that_run_at_once_are_all_counted_and_told_one_by_one(self):
        report = 'printf "passed\ta\t\nskipped\tb\tno %s\nend\n" > "$BCTX_TEST_REPORT"; exit %d'
        with bctx.folder() as place, contextlib.redirect_stdout(io.StringIO()) as said:
            tests = [(f"x{i}", ["sh", "-c", report % (f"x{i}", i == 2)], ["python"], {}, str(place)) for i in range(5)]
            skips = []
            totals = run_tests.run_all("some", tests, pathlib.Path(place), skips, at_once=3)
        self.assertEqual((totals.passed, totals.failed, totals.skipped), (5, 1, 5))
        self.assertEqual(sorted(reason for _, reason in skips), [f"no x{i}" for i in range(5)])
        lines = said.getvalue().splitlines()
        failed = next(i for i, line in enumerate(lines) if "failed: x2: exit code 1" in line)
        self.assertTrue(lines[failed + 1].startswith("  x2 "), lines)


class OneSource(unittest.TestCase):
    def clashes(self, *texts):
        files = {f"{i}.cc": f"namespace {{\n\n{text}\n\n}}  // namespace\n" for i, text in enumerate(texts)}
        return list(one_source.clashes({"folder": files}))

    def test_two_definitions_of_one_name_clash(self):
        for text in ("constexpr int kMost = 3;", "struct Scope {\n  int x;\n};", "enum Input { kA };",
                     "const char* Name(int a) {\n  return 0;\n}",
                     "Result<std::map<int, int>> Long(const std::string& name,\n                     int b) {\n}"):
            found = self.clashes(text, text)
            self.assertEqual(len(found), 1, text)
            self.assertIn("folder/1.cc: ", found[0])
        self.assertEqual(len(self.clashes("struct Scope {};", "int Scope(int a) {\n}")), 1)
        self.assertEqual(len(self.clashes("using List = int;", "using List = long;")), 1)

    def test_what_may_stand_side_by_side(self):
        for one, other in (("int Size(int a) {\n}", "int Size(const Text& a) {\n}"), ("using std::map;",) * 2,
                           ("using List = int;",) * 2, ("struct Ahead;",) * 2, ("int kA = 1;", "int kB = 1;")):
            self.assertEqual(self.clashes(one, other), [], one)
        inside = "void Run() {\n  const int local = 3;\n}"
        self.assertEqual(len(self.clashes(inside, inside.replace("Run", "Go"))), 0)
        outside = {"folder": {name: "int Same() {\n}\n" for name in ("a.cc", "b.cc")}}
        self.assertEqual(list(one_source.clashes(outside)), [])


class Premise(unittest.TestCase):
    """What the demo's limits of speed stand on."""

    def test_a_smaller_share_asks_for_the_same_speed_of_attention(self):
        for promise, speed in ((premise.Premise(1 / 2, 1.4), 7 / 3), (premise.Premise(1 / 3, 1.1), 1.375)):
            self.assertAlmostEqual(promise.attention_ratio(), speed)
            for share in (0.01, 0.2, 0.3):
                plain, attention = 100.0, 100.0 * share
                compiled = plain - attention + attention / speed
                self.assertAlmostEqual(promise.limit(share), plain / compiled)
                self.assertAlmostEqual(premise.attention_ratio(plain, compiled, attention), speed)
        self.assertAlmostEqual(premise.Premise(1 / 2, 1.4).limit(0.38), 1.28, 2)

    def test_a_larger_share_asks_for_what_was_promised(self):
        for share in (0.5, 0.6, 0.99):
            self.assertAlmostEqual(premise.Premise(1 / 2, 1.4).limit(share), 1.4)

    def test_times_that_contradict_one_another_give_no_speed_of_attention(self):
        self.assertIsNone(premise.attention_ratio(plain=100, compiled=50, attention=40))


if __name__ == "__main__":
    cases.main()
