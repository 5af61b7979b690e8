#!/usr/bin/env python3
"""Runs every test of a build folder, then the hostile ones under the sanitizers, and counts test cases.

    run_tests.py --release build [--sanitized build-asan] [NAME ...]

The list of test programs is ctest's, so `ctest` runs the same ones. A Catch2 program reports its cases
as XML; a Python program writes one line for each case (tests/support/cases.py). A program that dies
counts as one failed case. A case is skipped by printing "SKIPPED: reason"; the reason is shown.
The last line is `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

TIMEOUT = 900  # seconds for one program; --long: eight times as many


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def listed_tests(build):
    """(name, command, labels, environment, folder) of each test that ctest knows."""
    text = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"],
                          check=True, capture_output=True, text=True).stdout
    tests = []
    for test in json.loads(text)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        environment = dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", []))
        tests.append((test["name"], test.get("command", []), properties.get("LABELS", []), environment,
                      properties.get("WORKING_DIRECTORY", str(build))))
    return tests


def indented(text):
    return ["    " + line for line in text.splitlines() if line.strip()]


def read_catch(path, skips, lines):
    """Cases of a Catch2 XML report; raises when it is not complete."""
    totals = Totals()
    for case in ElementTree.parse(path).getroot().iter("TestCase"):
        title = case.get("name")
        result = case.find("OverallResult")
        if result is None or result.get("success") != "true":
            totals.failed += 1
            lines.append(f"    failed: {title}")
            for expression in case.iter("Expression"):
                if expression.get("success") != "true":
                    original = (expression.findtext("Original") or "").strip()
                    expanded = (expression.findtext("Expanded") or "").strip()
                    lines.append(f"      {expression.get('filename')}:{expression.get('line')}: {original}")
                    lines.append(f"        with: {expanded[:400]}")
            for kind in ("Exception", "Failure", "FatalErrorCondition", "Info"):
                for entry in case.iter(kind):
                    lines.append(f"      {kind.lower()}: {(entry.text or '').strip()[:400]}")
            continue
        warnings = [(w.text or "").strip() for w in case.iter("Warning")]
        reasons = [w[len("SKIPPED: "):] for w in warnings if w.startswith("SKIPPED: ")]
        if reasons:
            totals.skipped += 1
            skips.append((title, reasons[0]))
        else:
            totals.passed += 1
    return totals


def read_lines(path, skips, lines):
    """Cases of a Python program: passed|failed|skipped <tab> title <tab> reason, then `end`."""
    totals = Totals()
    cases = path.read_text().splitlines()
    if not cases or cases[-1] != "end":
        raise ValueError("the report is cut off")
    for line in cases[:-1]:
        outcome, title, reason = line.split("\t")
        if outcome == "passed":
            totals.passed += 1
        elif outcome == "skipped":
            totals.skipped += 1
            skips.append((title, reason))
        else:
            totals.failed += 1
            lines.append(f"    failed: {title}")
    return totals


def run_program(test, results):
    """(totals, skipped cases with their reasons, lines to print)."""
    name, command, labels, environment, folder = test
    report = results / f"{name}.report"
    report.unlink(missing_ok=True)
    python = "python" in labels
    variables = {**os.environ, **environment, "BCTX_TEST_REPORT": str(report)}
    arguments = command if python else command + ["-r", "xml", "-o", str(report)]
    start = time.monotonic()
    limit = TIMEOUT * (8 if os.environ.get("BCTX_TEST_LONG") else 1)
    totals, skips, lines = Totals(), [], []
    try:
        if not command:
            raise ValueError("the program was not built")
        done = subprocess.run(arguments, cwd=folder, env=variables, capture_output=True, text=True,
                              errors="replace", timeout=limit)
        output, code = done.stdout + done.stderr, done.returncode
        totals = (read_lines if python else read_catch)(report, skips, lines)
        if code != 0 and totals.failed == 0:
            raise ValueError(f"exit code {code}")
        if totals.passed + totals.failed + totals.skipped == 0:
            raise ValueError("it has no test case")
    except subprocess.TimeoutExpired as error:
        output, totals.failed = (error.stdout or b"").decode(errors="replace"), totals.failed + 1
        lines.append(f"    failed: {name} did not end within {limit} s")
    except (OSError, ValueError, ElementTree.ParseError) as error:
        totals.failed += 1
        if not isinstance(error, ElementTree.ParseError) and "output" not in locals():
            output = ""
        reason = error if not isinstance(error, ElementTree.ParseError) else f"it died, exit code {code}"
        lines.append(f"    failed: {name}: {reason}")
    if totals.failed or not python:
        lines += indented(output[-6000:])
    seconds = time.monotonic() - start
    lines.append(f"  {name:28s} {totals.passed:5d} passed, {totals.failed} failed, {totals.skipped} skipped"
                 f"  {seconds:6.1f} s")
    return totals, skips, lines


def run_all(title, tests, build, skips, at_once=1):
    print(f"{title}: {len(tests)} programs", flush=True)
    results = build.resolve() / "test-reports"
    results.mkdir(exist_ok=True)
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(run_program, test, results) for test in tests]
        for done in concurrent.futures.as_completed(running) if at_once > 1 else running:
            counts, skipped, lines = done.result()
            totals.add(counts)
            skips += skipped
            print("\n".join(lines), flush=True)
    return totals


def largest_first(tests):
    """What runs longest begins first, as far as sizes of programs tell: what links most, tests most."""
    return sorted(tests, key=lambda test: -os.path.getsize(test[1][0]) if test[1] else 0)


def sanitized_tests(build):
    """Builds and lists the hostile programs; a target is called like its test."""
    tests = [t for t in listed_tests(build) if "hostile" in t[2]]
    if tests:
        start = time.monotonic()
        subprocess.run(["ninja", "-C", str(build), "--quiet"] + [t[0] for t in tests], check=True,
                       stdout=sys.stderr)
        print(f"built under the sanitizers in {time.monotonic() - start:.0f} s")
    wanted = {t[0] for t in tests}
    return [t for t in listed_tests(build) if t[0] in wanted]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=pathlib.Path, required=True)
    parser.add_argument("--sanitized", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    start = time.monotonic()
    totals, skips = Totals(), []
    tests = [t for t in listed_tests(options.release) if not options.names or t[0] in options.names]
    native = [t for t in tests if "python" not in t[2]]
    totals.add(run_all("release", native, options.release, skips))
    if options.sanitized and not options.names:
        try:
            hostile = sanitized_tests(options.sanitized)
            # They time nothing and share no file, so each processor may have one.
            totals.add(run_all("address and undefined behaviour sanitizers", largest_first(hostile),
                               options.sanitized, skips, at_once=os.cpu_count() or 1))
        except subprocess.CalledProcessError:
            totals.failed += 1
            print("  failed: the build under the sanitizers")
    python = [t for t in tests if "python" in t[2]]
    totals.add(run_all("end to end", python, options.release, skips))
    for title, reason in skips:
        print(f"skipped: {title}: {reason}")
    print(f"all of it took {time.monotonic() - start:.0f} s")
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    sys.exit(1 if totals.failed or not totals.passed else 0)


if __name__ == "__main__":
    main()
