"""The arrows between folders: who may include whom, and which folder owns which third-party headers.

`violations(root)` reads every #include of our own code and returns one line for each that is forbidden.
A folder that is not in the table may include nothing, so a new folder has to be thought about here.
"""
import pathlib
import re

# Folder of the sources -> first path parts that it may include, besides its own and "backendctx".
MODULES = "libbackendctx/src/"
ARROWS = {
    "libbackendctx/include/backendctx": [],
    MODULES + "base": [],
    MODULES + "crypto": ["base"],
    MODULES + "container": ["base", "crypto"],
    MODULES + "manifest": ["base", "crypto"],
    MODULES + "model": ["base", "crypto"],
    # Siblings of pure logic: they do not see each other.
    MODULES + "scope": ["base", "crypto", "model"],
    MODULES + "patterns": ["base", "crypto", "model"],
    MODULES + "weights": ["base", "crypto", "model"],
    MODULES + "select": ["base", "crypto"],
    MODULES + "plugin": ["base"],
    MODULES + "package": ["base", "crypto", "container", "manifest", "model", "scope", "weights", "select",
                          "plugin"],
    MODULES + "authoring": ["base", "crypto", "container", "manifest", "model", "scope", "patterns", "weights",
                            "select", "plugin", "package", "proof"],
    "libbackendctx/src": [],
    "ort": ["base", "crypto", "model", "package", "plugin", "proof", "provider", "runtime", "body", "trial", "session"],
    "backends/proof": ["driver", "abi"],
    "backends/conformance": [],
    "backends/reference": [],
    "backends/cpu_attention/abi": [],
    "backends/cpu_attention/compiler": ["abi"],
    "backends/cpu_attention/driver": ["abi"],
    "backends/openvino/common": [],
    "backends/openvino/plugin": ["common"],
    "backends/openvino/runtime": ["common"],
    "backends/openvino/exporter": ["common", "runtime"],
    "tools_common": [],
    "packager": ["tools_common"],
    "inspector": ["tools_common"],
    "samples": [],
}
# The only public header that a plug-in may include.
PLUGIN_FOLDERS = ("backends/conformance", "backends/cpu_attention/compiler", "backends/cpu_attention/driver",
                  "backends/openvino/common", "backends/openvino/plugin", "backends/openvino/runtime",
                  "backends/openvino/exporter", "backends/reference")
PLUGIN_HEADER = "backendctx/plugin_abi.h"

TOOLS = ["tools_common", "packager", "inspector"]
# First path part (or whole name) of a third-party header -> folders that own it; None: everywhere.
THIRD_PARTY = {
    "openssl": [MODULES + "crypto"],
    "zstd.h": [MODULES + "container"],
    "zstd_errors.h": [MODULES + "container"],
    "google": [MODULES + "manifest", MODULES + "model"],
    "backendctx.pb.h": [MODULES + "manifest"],
    "onnx": [MODULES + "model"],
    "llvm": ["backends/cpu_attention/compiler"],
    "lld": ["backends/cpu_attention/compiler"],
    "openvino": ["backends/openvino/runtime", "backends/openvino/exporter"],
    "onnxruntime_c_api.h": ["ort", "samples"],
    "onnxruntime_ep_c_api.h": ["ort"],
    "onnxruntime_cxx_api.h": ["samples"],
    "CLI": TOOLS,
    "spdlog": TOOLS,
    "nlohmann": TOOLS + [MODULES + "select", MODULES + "model", "ort"],
    "zlib.h": ["ort"],
    "fmt": None,
}
SYSTEM_FOLDERS = {"sys", "linux", "asm", "arpa", "netinet"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def owner_of(path):
    """The longest folder of the table that holds this file; None when none does."""
    text = path.as_posix()
    folders = [f for f in ARROWS if text.startswith(f + "/")]
    best = max(folders, key=len, default=None)
    if best == "libbackendctx/src" and text.count("/") > 2:
        return None  # a module that the table does not name
    return best


def local_names():
    return {f.rsplit("/", 1)[-1] for f in ARROWS} | {"provider", "runtime", "body", "trial", "session", "driver", "abi", "proof"}


def judge(folder, header):
    """Why `folder` may not include `header`; None when it may."""
    first = header.split("/", 1)[0]
    if header in THIRD_PARTY or first in THIRD_PARTY:
        owners = THIRD_PARTY.get(header, THIRD_PARTY.get(first))
        if folder == "libbackendctx/include/backendctx":
            return "a public header includes no third-party header"
        if owners is not None and folder not in owners:
            return "only " + ", ".join(owners) + " may"
        return None
    if "/" not in header or first in SYSTEM_FOLDERS:
        return None
    if first == "backendctx":
        if folder in PLUGIN_FOLDERS and header != PLUGIN_HEADER:
            return "a plug-in knows plugin_abi.h alone"
        return None
    if first not in local_names():
        return "nobody owns this header: name its owner in tests/layering/layering.py"
    allowed = ARROWS[folder] + [folder.rsplit("/", 1)[-1]]
    return None if first in allowed else "allowed are " + ", ".join(sorted(allowed))


def violations(root):
    root = pathlib.Path(root)
    found = []
    for top in ("libbackendctx", "ort", "backends", "tools_common", "packager", "inspector"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".cc", ".h", ".c", ".cpp") or not path.is_file():
                continue
            relative = path.relative_to(root)
            folder = owner_of(relative)
            if folder is None:
                found.append(f"{relative}: its folder is not in tests/layering/layering.py")
                continue
            for header in INCLUDE.findall(path.read_text(encoding="utf-8")):
                reason = judge(folder, header)
                if reason:
                    found.append(f"{relative} includes {header}: {reason}")
    return found
