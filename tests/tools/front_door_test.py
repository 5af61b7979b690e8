"""The front door: usage errors, and a test runner that cannot lose a failure."""
import contextlib
import io
import pathlib
import subprocess
import sys
import unittest

import bctx
import cases

sys.path.insert(0, str(bctx.SOURCE / "scripts"))
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


class Runner(unittest.TestCase):
    def read(self, function, text):
        skips = []
        with bctx.folder() as place, contextlib.redirect_stdout(io.StringIO()) as said:
            report = pathlib.Path(place) / "report"
            report.write_text(text)
            totals = function(report, skips)
        return (totals.passed, totals.failed, totals.skipped), skips, said.getvalue()

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
        with bctx.folder() as place, contextlib.redirect_stdout(io.StringIO()):
            totals = run_tests.run_program(("x", command, ["python"], {}, str(place)), place, [])
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


if __name__ == "__main__":
    cases.main()
