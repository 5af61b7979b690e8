"""Runs the unittest cases of a program and writes one line for each where BCTX_TEST_REPORT says."""
import os
import unittest


class _Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lines = []

    def _note(self, outcome, test, reason=""):
        title = (test.shortDescription() or str(test)).replace("\t", " ").replace("\n", " ")
        self.lines.append(f"{outcome}\t{title}\t{' '.join(reason.split())}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self._note("passed", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._note("failed", test)

    def addError(self, test, error):
        super().addError(test, error)
        self._note("failed", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note("skipped", test, reason)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._note("failed", subtest)


def main():
    runner = unittest.TextTestRunner(resultclass=_Result, verbosity=2)
    result = unittest.main(testRunner=runner, exit=False, module="__main__").result
    report = os.environ.get("BCTX_TEST_REPORT")
    if report:
        with open(report, "w", encoding="utf-8") as file:
            file.write("\n".join(result.lines + ["end"]) + "\n")
    raise SystemExit(0 if result.wasSuccessful() else 1)
