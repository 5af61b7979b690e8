"""Runs the tools and ONNX Runtime for tests: folders, users with a home of their own, the provider."""
import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import tempfile

BUILD = pathlib.Path(os.environ["BCTX_BUILD"])
DEPS = pathlib.Path(os.environ["BCTX_DEPS"])
SOURCE = pathlib.Path(os.environ["BCTX_SOURCE"])
PROVIDER = "BackendContextExecutionProvider"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when ONNX Runtime is loaded
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def drop_override():
    """Root writes into read-only folders unless it gives this capability up."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


class User:
    """Somebody with a home, and so with keys and trust of their own."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BACKENDCTX_"))}
        self.environment.update(HOME=str(self.home), NO_COLOR="1", PATH=f"{BUILD}/bin:{os.environ['PATH']}")

    def run(self, *arguments, cwd=None, restricted=False, environment=None):
        return subprocess.run(list(map(str, arguments)), cwd=cwd, env={**self.environment, **(environment or {})},
                              capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              preexec_fn=drop_override if restricted else None)

    def ok(self, *arguments, **how):
        done = self.run(*arguments, **how)
        if done.returncode != 0:
            raise AssertionError(f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments, **how):
        return json.loads(self.ok(*arguments, "--json", **how))

    @contextlib.contextmanager
    def at_the_keyboard(self):
        """This process reads HOME as this user's: what the provider does at session creation."""
        before = {name: os.environ.get(name) for name in ("HOME", "XDG_CONFIG_HOME")}
        os.environ["HOME"] = str(self.home)
        os.environ.pop("XDG_CONFIG_HOME", None)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="bctx-test-") as path:
        yield pathlib.Path(path)


_registered = False


def provider_session(path, threads=1, **options):
    """A session that offers the model to the provider first."""
    global _registered
    import onnxruntime as ort
    if not _registered:
        ort.register_execution_provider_library("backendctx", str(BUILD / "lib" / "libbackendctx_ort.so"))
        _registered = True
    made = ort.SessionOptions()
    made.intra_op_num_threads = threads
    made.log_severity_level = 4
    devices = [d for d in ort.get_ep_devices() if d.ep_name == PROVIDER]
    made.add_provider_for_devices(devices, {k: str(v) for k, v in options.items()})
    return ort.InferenceSession(str(path), made)


def observed(path, **options):
    """(session, what the provider reported about it)."""
    with tempfile.TemporaryDirectory() as place:
        report = pathlib.Path(place) / "report.json"
        session = provider_session(path, report=report, **options)
        return session, json.loads(report.read_text())
