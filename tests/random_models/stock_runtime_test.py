"""Random models in stock ONNX Runtime: original, package and restored model give the same bits."""
import os
import subprocess
import sys
import unittest

import bctx
import cases

COUNT = 2000 if os.environ.get("BCTX_TEST_LONG") else 120
FIRST = 100_000

# Compares model, package in three forms and restored model in each folder that it is given. It is a process of its
# own, since ONNX Runtime was seen to die of originals; what it has compared is on its stdout.
COMPARE = """
import pathlib, sys
import numpy as np, onnxruntime as ort
ort.set_default_logger_severity(4)

def feed(kind, seed):
    value = np.random.default_rng(seed).standard_normal((2, 5, 16)).astype(np.float32)
    return np.array(True) if kind == "tensor(bool)" else [value] if kind.startswith("seq") else value

def flat(value):
    if isinstance(value, (list, tuple)):
        return b"[" + b",".join(flat(v) for v in value) + b"]"
    if isinstance(value, dict):
        return b"{" + b",".join(flat(k) + b":" + flat(v) for k, v in sorted(value.items())) + b"}"
    value = np.asarray(value)
    shape = f"{value.dtype}{value.shape}".encode()
    return shape + (repr(value.tolist()).encode() if value.dtype == object else value.tobytes())

def outputs(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return flat(session.run(None, {v.name: feed(v.type, i) for i, v in enumerate(session.get_inputs())}))

def compare(folder):
    try:
        first = outputs(folder / "model.onnx")
    except Exception as error:
        return "original", str(error)
    for name in ("function/package.onnx", "metadata/package.onnx", "embedded/package.onnx", "restored.onnx"):
        try:
            if outputs(folder / name) != first:
                return "differs", name
        except Exception as error:
            return "failed", f"{name}: {error}"
    return "same", ""

for folder in map(pathlib.Path, sys.argv[1:]):
    print(folder.name, *(" ".join(part.split())[:400] for part in compare(folder)), flush=True)
"""


def compare_all(folders):
    """seed -> (word, detail); a folder at which the process ended is "original"."""
    results = {}
    while folders:
        done = subprocess.run([sys.executable, "-c", COMPARE, *folders], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        for line in lines:
            seed, word, *detail = line.split(" ", 2)
            results[seed] = word, " ".join(detail)
        if done.returncode != 0:
            results[folders[len(lines)].name] = "original", f"the process ended with {done.returncode}"
            lines.append("")
        folders = folders[len(lines):]
    return results


class RandomModels(unittest.TestCase):
    def test_same_outputs(self):
        """random models, their packages and what is restored give the same bits"""
        with bctx.folder() as place:
            made = subprocess.run([bctx.BUILD / "bin" / "write_random_models", place, str(FIRST), str(COUNT)],
                                  check=True, stdout=subprocess.PIPE, text=True).stdout
            lines = [line.split("\t") for line in made.splitlines()]
            results = compare_all([place / seed for seed, runs, _ in lines if runs == "runs"])
        wrong = {seed: result for seed, result in results.items() if result[0] not in ("same", "original")}
        self.assertEqual(wrong, {})
        ran = sum(word == "same" for word, _ in results.values())
        partitions = sum(int(count) for _, _, count in lines)
        print(f"{len(results)} models with {partitions} partitions, {ran} of them run by this ONNX Runtime")
        # What ONNX Runtime itself cannot run, for defects of its own, compares nothing.
        self.assertGreater(ran, 0.8 * len(results))


if __name__ == "__main__":
    cases.main()
