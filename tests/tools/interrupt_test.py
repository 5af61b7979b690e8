"""A signal during pack: the exit code says which, and nothing is left: no files, no processes."""
import os
import pathlib
import signal
import subprocess
import time
import unittest

import onnx

import bctx
import cases
import sample_models

DEADLINE = 60  # seconds until the first proof has begun


def mentions(path):
    """Running processes whose environment names this folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if os.fsencode(path) in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            pass  # it ended, or is somebody else's
    return found


class Interrupted(unittest.TestCase):
    def check(self, number, code):
        with bctx.folder() as place:
            user = bctx.User(place / "home")
            work, scratch = place / "work", place / "scratch"
            work.mkdir()
            scratch.mkdir()
            onnx.save(sample_models.decomposed(), work / "model.onnx")
            packing = subprocess.Popen(["bctx-pack", "pack", "model.onnx", "-o", "out.onnx", "--no-sign"], cwd=work,
                                       env={**user.environment, "TMPDIR": str(scratch)}, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            end = time.monotonic() + DEADLINE
            while packing.poll() is None and time.monotonic() < end:
                packing.send_signal(signal.SIGSTOP)  # what is seen now is still there when the signal arrives
                if list(scratch.iterdir()):
                    break
                packing.send_signal(signal.SIGCONT)
                time.sleep(0.001)
            self.assertTrue(list(scratch.iterdir()), "no proof was seen")
            packing.send_signal(number)
            packing.send_signal(signal.SIGCONT)
            told = "".join(packing.communicate(timeout=DEADLINE))
            self.assertEqual(packing.returncode, code, told)
            self.assertEqual(list(scratch.iterdir()), [])
            self.assertEqual([path.name for path in work.iterdir()], ["model.onnx"])
            self.assertEqual(mentions(scratch), [])

    def test_sigint(self):
        """SIGINT during a proof ends pack with 130 and leaves nothing"""
        self.check(signal.SIGINT, 130)

    def test_sigterm(self):
        """SIGTERM during a proof ends pack with 143 and leaves nothing"""
        self.check(signal.SIGTERM, 143)


if __name__ == "__main__":
    cases.main()
