"""What the demo prints: sections, commands with their output, and measurements against their limits."""
import os
import sys
import textwrap
import time

WIDTH = 80
_COLOR = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
_start = time.monotonic()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if _COLOR else text


def bold(text):
    return paint("1", text)


def section(title):
    clock = f"{time.monotonic() - _start:5.0f} s"
    print(f"\n{bold(title)} {paint('2', '-' * (WIDTH - len(title) - len(clock) - 2))} {clock}", flush=True)


def command(arguments):
    print(paint("36", "$ " + " ".join(arguments)), flush=True)


def text(line=""):
    print(line, flush=True)


def wrapped(line, indent):
    text(textwrap.fill(line, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)))


class Limits:
    """Every stated limit with what was found in this run."""

    def __init__(self):
        self.rows = []

    def add(self, what, found, limit, ok):
        self.rows.append((what, found, limit, bool(ok)))

    def at_most(self, what, found, limit, show="{:g}"):
        self.add(what, show.format(found), "<= " + show.format(limit), found <= limit)

    def at_least(self, what, found, limit, show="{:g}", where=""):
        self.add(what, show.format(found), ">= " + show.format(limit) + where, found >= limit)

    def holds(self, what, found, expected):
        self.add(what, str(found), str(expected), found == expected)

    def missed(self):
        return [row for row in self.rows if not row[3]]

    def print(self):
        for what, found, limit, ok in self.rows:
            mark = paint("32", "ok    ") if ok else paint("31", "MISSED")
            print(f"{mark} {what:<46.46} {found:>10.10} {limit:>15.15}")
        missed = len(self.missed())
        print(f"{len(self.rows)} limits, {missed} missed")
