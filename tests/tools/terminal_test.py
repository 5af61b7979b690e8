"""What a terminal sees: progress for long work only, colours where they are wanted, 80 columns."""
import os
import pty
import re
import signal
import subprocess
import threading
import time
import unittest

import numpy as np
import onnx

import bctx
import cases
import sample_models

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BAR = re.compile(r"([a-z]+ +\[#* *\] +\d+ %)")


def stop_again_and_again(child, over):
    """Lets `child` run a hundredth of a second at a time, until `over` is set: its clock outruns its work."""
    while not over.wait(0.01):
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        child.send_signal(signal.SIGCONT)


class Terminal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        context = bctx.folder()
        cls.place = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        cls.user = bctx.User(cls.place / "home")
        onnx.save(sample_models.decomposed(), cls.place / "model.onnx")
        cls.user.ok("bctx-pack", "pack", "model.onnx", "-o", "package.onnx", cwd=cls.place)

    def on_a_terminal(self, *command, slowed=False, **environment):
        """(exit code, what came out of a terminal that both streams are); `slowed` makes any work long."""
        main, side = pty.openpty()
        variables = {**self.user.environment, "TERM": "xterm", **environment}
        variables = {k: v for k, v in variables.items() if v is not None}
        child = subprocess.Popen(list(map(str, command)), cwd=self.place, env=variables, stdin=side, stdout=side, stderr=side)
        os.close(side)
        over = threading.Event()
        brake = threading.Thread(target=stop_again_and_again, args=(child, over))
        if slowed:
            brake.start()
        said = b""
        while True:
            try:
                piece = os.read(main, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            said += piece
        os.close(main)
        over.set()
        if slowed:
            brake.join()
        return child.wait(), said.decode()

    def pack(self, *flags, **environment):
        code, said = self.on_a_terminal("bctx-pack", "pack", "model.onnx", "-o", "again.onnx", "--force", *flags,
                                        slowed=True, **environment)
        self.assertEqual(code, 0, said)
        return said

    def test_long_work_shows_a_bar_that_goes_away(self):
        said = self.pack()
        bars = BAR.findall(said)
        self.assertTrue(bars, said)
        self.assertTrue(all(len(bar) < 80 for bar in bars), bars)
        self.assertLess(said.rindex("\r\x1b[K"), said.index("compiled"))  # wiped before the report

    def test_no_bar_where_nobody_wants_one(self):
        for said in (self.pack("--quiet"), self.pack(TERM="dumb")):
            self.assertNotRegex(said, BAR)
        done = self.user.run("bctx-pack", "pack", "model.onnx", "-o", "again.onnx", "--force", cwd=self.place)
        self.assertNotIn("\r", done.stdout + done.stderr)

    def test_colours_follow_terminal_variable_and_flag(self):
        show = ("bctx-inspect", "show", "package.onnx")
        self.assertTrue(COLOUR.search(self.on_a_terminal(*show, NO_COLOR=None)[1]))
        self.assertFalse(COLOUR.search(self.on_a_terminal(*show, NO_COLOR="1")[1]))
        self.assertFalse(COLOUR.search(self.on_a_terminal(*show, NO_COLOR=None, TERM="dumb")[1]))
        self.assertFalse(COLOUR.search(self.on_a_terminal(*show, "--color", "never", NO_COLOR=None)[1]))
        self.assertTrue(COLOUR.search(self.user.ok(*show, "--color", "always", cwd=self.place)))
        self.assertFalse(COLOUR.search(self.user.ok(*show, cwd=self.place, environment={"NO_COLOR": ""})))
        plain, coloured = self.user.ok(*show, cwd=self.place), self.user.ok(*show, "--color", "always", cwd=self.place)
        self.assertEqual(COLOUR.sub("", coloured), plain)

    def test_nothing_that_is_printed_is_wider_than_80_columns(self):
        model = onnx.load(self.place / "model.onnx")
        long = "a/rather/long/name/as/exporters/of/large/frameworks/like/to/give/them"
        for node in model.graph.node:
            node.name = f"{long}/{node.name}"
        onnx.save(model, self.place / "long.onnx")
        np.savez(self.place / "x.npz", x=np.zeros((1, 4, sample_models.HIDDEN), np.float32))
        for command in (["bctx-pack", "pack", "long.onnx", "-o", "l.onnx", "--force", "--explain"],
                        ["bctx-pack", "backends"], ["bctx-pack", "trust", "list"],
                        ["bctx-inspect", "show", "package.onnx"], ["bctx-inspect", "why", "package.onnx"],
                        ["bctx-inspect", "size", "package.onnx"], ["bctx-inspect", "verify", "package.onnx"],
                        ["bctx-inspect", "host"], ["bctx-inspect", "ops", "package.onnx"], ["bctx-inspect", "ops", "model.onnx"],
                        ["bctx-inspect", "run", "package.onnx", "--compare", "--profile-time", "--runs", "1", "--inputs", "x.npz"]):
            with self.subTest(command=command):
                said = self.user.ok(*command, cwd=self.place)
                # One word alone, as a path, is not broken.
                wide = [line for line in said.splitlines() if len(line) > 80 and len(line.split()) > 2]
                self.assertEqual(wide, [])

    def test_verbose_says_more_and_quiet_nothing_but_errors(self):
        key = self.place / "some.key"
        self.user.ok("bctx-pack", "keygen", "-o", key)
        more = self.user.run("bctx-pack", "trust", "add", f"{key}.pub", "-v")
        self.assertIn("written to", more.stderr)
        less = self.user.run("bctx-pack", "trust", "add", f"{key}.pub", "--quiet")
        self.assertEqual(less.stderr, "")
        self.assertIn("error", self.user.run("bctx-inspect", "show", "gone.onnx", "--quiet").stderr)


if __name__ == "__main__":
    cases.main()
