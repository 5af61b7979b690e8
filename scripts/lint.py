#!/usr/bin/env python3
"""Checks of our own sources that no compiler makes: size of files, length of lines, layering, script syntax."""
import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "layering"))
import layering  # noqa: E402
import one_source  # noqa: E402

MAX_LINES, MAX_COLUMNS = 500, 100
CODE = {".cc", ".h", ".c"}


def sources():
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def complaints(path):
    relative = path.relative_to(ROOT)
    if path.suffix in CODE:
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) >= MAX_LINES:
            yield f"{relative}: {len(lines)} lines, expected fewer than {MAX_LINES}"
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                yield f"{relative}:{number}: {len(line)} columns, expected at most {MAX_COLUMNS}"
        if path.suffix == ".h" and "#pragma once" not in lines and not any(
                line.startswith("#ifndef") for line in lines[:60]):
            yield f"{relative}: no #pragma once"
    elif path.suffix == ".py":
        try:
            ast.parse(path.read_text(encoding="utf-8"), str(relative))
        except SyntaxError as error:
            yield f"{relative}:{error.lineno}: {error.msg}"
    elif path.read_bytes().startswith(b"#!/usr/bin/env bash"):
        done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
        if done.returncode:
            yield done.stderr.strip()


def compiled_as_one():
    """{folder: {file: text}} of what the sanitizer build compiles so."""
    folders = {}
    for path in sources():
        folder = path.parent.relative_to(ROOT)
        if path.suffix == ".cc" and (folder.parts[:2] == ("libbackendctx", "src") or folder.parts[:1] == ("tests",)):
            folders.setdefault(folder, {})[path.name] = path.read_text(encoding="utf-8")
    folders.pop(pathlib.Path("tests/cpu_attention"), None)  # all but two need the compiler, which it leaves out
    return folders


def main():
    found = [line for path in sources() for line in complaints(path)]
    found += one_source.clashes(compiled_as_one())
    found += layering.violations(ROOT)
    for line in found:
        print(f"lint: {line}", file=sys.stderr)
    print(f"lint: {len(found)} complaints", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
