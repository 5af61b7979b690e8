"""ONNX Runtime with and without the provider: answers, differences, milliseconds."""
import json
import os
import pathlib
import time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when ONNX Runtime is loaded
import numpy as np
import onnxruntime as ort

PROVIDER = "BackendContextExecutionProvider"


def register(build):
    ort.register_execution_provider_library("backendctx", str(pathlib.Path(build).resolve() / "lib/libbackendctx_ort.so"))


def options(threads, level=None):
    made = ort.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 4
    if level is not None:
        made.graph_optimization_level = level
    return made


def plain(path, threads=1, level=None):
    return ort.InferenceSession(str(path), options(threads, level), providers=["CPUExecutionProvider"])


def compiled(path, threads=1, **provider_options):
    made = options(threads)
    devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    made.add_provider_for_devices(devices, {k.replace("_", "-") if k == "require_proof" else k: str(v)
                                            for k, v in provider_options.items()})
    return ort.InferenceSession(str(path), made)


def report_of(path, report, **provider_options):
    """Makes a session and reads what the provider says it did."""
    report = pathlib.Path(report)
    report.unlink(missing_ok=True)
    session = compiled(path, report=report, **provider_options)
    return session, json.loads(report.read_text())


def difference(session, other, feeds):
    """Largest difference of any output, relative to the largest value of that output."""
    largest = 0.0
    for found, expected in zip(session.run(None, feeds), other.run(None, feeds)):
        scale = float(np.abs(expected).max()) or 1.0
        largest = max(largest, float(np.abs(found.astype(np.float64) - expected).max()) / scale)
    return largest


def identical(session, other, feeds):
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes()
               for a, b in zip(session.run(None, feeds), other.run(None, feeds)))


def seconds(session, feeds, threads):
    # A single thread's CPU time is the same whatever else the machine does.
    clock = time.thread_time if threads == 1 else time.perf_counter
    start = clock()
    session.run(None, feeds)
    return clock() - start


def interleaved(runs, rounds, enough, threads):
    """Best milliseconds of each (session, feeds) of `runs`, which take turns.

    Each turn begins with a run that is not counted: it wakes this session's threads and lets those of the
    others fall asleep. Where `enough` of the times so far is false there are up to three times as many rounds:
    the machine may be busy with something else."""
    best = [float("inf")] * len(runs)
    for round_number in range(3 * rounds):
        for i, (session, feeds) in enumerate(runs):
            session.run(None, feeds)
            best[i] = min(best[i], seconds(session, feeds, threads), seconds(session, feeds, threads))
        if round_number + 1 >= rounds and enough(best):
            break
    return [value * 1e3 for value in best]
