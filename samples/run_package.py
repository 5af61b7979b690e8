#!/usr/bin/env python3
"""Runs a packaged model with ONNX Runtime and the BackendContext provider.

    run_package.py PROVIDER_LIBRARY MODEL.onnx [OPTION=VALUE ...]

The inputs are random numbers of a fixed seed, every unknown dimension is 16. Prints what ran compiled
and a checksum of each output. Without the provider the same model runs as the plain ONNX model that
it still is.
"""
import json
import pathlib
import sys
import tempfile
import zlib

import numpy as np
import onnxruntime as ort

PROVIDER = "BackendContextExecutionProvider"


def make_session(model, options):
    session_options = ort.SessionOptions()
    devices = [d for d in ort.get_ep_devices() if d.ep_name == PROVIDER]
    session_options.add_provider_for_devices(devices, options)
    return ort.InferenceSession(model, session_options)


def make_inputs(session):
    rng = np.random.default_rng(1)
    inputs = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 16 for d in value.shape]
        if "float" in value.type:
            inputs[value.name] = rng.standard_normal(shape).astype(np.float32)
        else:  # token numbers and masks: ones are valid in both
            inputs[value.name] = np.ones(shape, np.int64)
    return inputs


def main():
    library, model = sys.argv[1:3]
    library = str(pathlib.Path(library).resolve())  # ONNX Runtime looks for relative ones beside itself
    options = dict(argument.split("=", 1) for argument in sys.argv[3:])
    ort.register_execution_provider_library("backendctx", library)
    with tempfile.TemporaryDirectory() as folder:
        options.setdefault("report", str(pathlib.Path(folder) / "report.json"))
        session = make_session(model, options)
        report = json.loads(pathlib.Path(options["report"]).read_text())
    observed = report["observed"]
    print(f"{observed['compiled']} compiled, {observed['interpreted']} interpreted")
    for call in observed["calls"]:
        print(f"  {call['partition']}: {call.get('context') or call['reason']}")
    outputs = session.run(None, make_inputs(session))
    for value, output in zip(session.get_outputs(), outputs):
        print(f"{value.name} {list(output.shape)} crc32 {zlib.crc32(output.tobytes()):08x}")


if __name__ == "__main__":
    main()
