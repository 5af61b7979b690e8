"""docs/encodings.md shows one graph in each form: what it prints is what a run gives.

BCTX_UPDATE=1 writes the page's blocks anew.
"""
import os
import pathlib
import re
import unittest

import onnx
from onnx import TensorProto, helper

import bctx
import cases
import sample_models

PAGE = bctx.SOURCE / "docs" / "encodings.md"
BLOCK = re.compile(r"(<!-- printed by a test: ([a-z-]+) -->\n```\n)(.*?)(```\n)", re.DOTALL)
TYPES = {number: name.lower() for name, number in TensorProto.DataType.items()}


def shorten(text):
    """Digests and places depend on the compiler's version; the page says what they are."""
    return re.sub(r"[0-9a-f]{12,64}", "...", text)


def typed(value):
    tensor = value.type.tensor_type
    dims = ", ".join(d.dim_param or str(d.dim_value) for d in tensor.shape.dim)
    return f"{TYPES[tensor.elem_type]}[{dims}] {value.name}"


def plain(attribute):
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, float):
        return f"{value:.4g}"
    return shorten(f'"{value}"') if isinstance(value, str) else str(list(value) if hasattr(value, "__iter__") else value)


def node_line(node):
    attributes = ", ".join(f"{a.name} = {plain(a)}" for a in node.attribute)
    name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    line = f"    {', '.join(node.output)} = {name}"
    call = f"({', '.join(node.input)})"
    if not attributes:
        return wrapped(line + call)
    return wrapped(line + " <" + attributes + "> " + call)


def wrapped(line, width=96):
    lines = []
    while len(line) > width:
        cut = line.rfind(" ", len(line) - len(line.lstrip()) + 1, width)
        if cut < 0:  # one long word
            break
        lines.append(line[:cut])
        line = "        " + line[cut + 1:]
    return "\n".join([*lines, line])


def initializer_line(tensor):
    shape = f"{TYPES[tensor.data_type]}[{', '.join(map(str, tensor.dims))}]"
    if tensor.data_location != TensorProto.EXTERNAL:
        return f"    {shape} {tensor.name}"
    entries = {e.key: e.value for e in tensor.external_data}
    return f"    {shape} {tensor.name}: {entries['length']} bytes of {shorten(entries['location'])}"


def printed(model):
    imports = ", ".join(f'"{i.domain}" {i.version}' for i in model.opset_import)
    lines = [f"model: IR {model.ir_version}, opsets {imports}"]
    lines += [wrapped(f"  property {p.key} = {shorten(p.value)}") for p in model.metadata_props]
    graph = model.graph
    lines.append(f"graph {graph.name} ({', '.join(map(typed, graph.input))}) -> ({', '.join(map(typed, graph.output))})")
    lines += [initializer_line(t) for t in graph.initializer]
    lines += [node_line(n) for n in graph.node]
    for function in model.functions:
        imports = ", ".join(f'"{i.domain}" {i.version}' for i in function.opset_import)
        lines.append(wrapped(f"function {function.domain}.{function.name} ({', '.join(function.input)})"
                             f" -> ({', '.join(function.output)}), opsets {imports}"))
        lines += [node_line(n) for n in function.node]
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


class Page(unittest.TestCase):
    def test_the_page_prints_what_a_run_gives(self):
        with bctx.folder() as place:
            user = bctx.User(place / "home")
            model = sample_models.decomposed(layers=1)
            onnx.save(model, place / "model.onnx")
            user.ok("bctx-pack", "pack", "model.onnx", "-o", "x.onnx", "--encoding", "both", "--no-sign", "--ort", "none",
                    "--target", "x86-64-v3,aarch64", cwd=place)
            load = lambda name: onnx.load(place / name, load_external_data=False)
            partition = user.json("bctx-inspect", "show", place / "x.onnx")["scopes"][0]["partitions"][0]
            found = {
                "model": printed(model),
                "function": printed(load("x.onnx")),
                "metadata": printed(load("x.flat.onnx")),
                "manifest": "\n".join([
                    f"partition {partition['id']}: {partition['nodes']} nodes, structure digest ...",
                    *[wrapped(f"    {side}: {', '.join(partition[side])}") for side in ("inputs", "outputs")],
                    *[f"scope {s['name']}: {c['id']}" for s in user.json("bctx-inspect", "show", place / "x.onnx")["scopes"]
                      for p in s["partitions"] for c in p["contexts"]]]) + "\n",
            }
        page = PAGE.read_text()
        self.assertEqual([name for _, name, _, _ in BLOCK.findall(page)], list(found))
        made = BLOCK.sub(lambda block: block[1] + found[block[2]] + block[4], page)
        if os.environ.get("BCTX_UPDATE"):
            PAGE.write_text(made)
        self.assertEqual(made, page)

    def test_both_fronts_are_one_model(self):
        """What the page says of the two: equal outputs, the same nodes."""
        with bctx.folder() as place:
            user = bctx.User(place / "home")
            model = sample_models.decomposed(layers=1)
            onnx.save(model, place / "model.onnx")
            user.ok("bctx-pack", "pack", place / "model.onnx", "-o", place / "x.onnx", "--encoding", "both", "--no-sign",
                    "--ort", "none", "--target", "host")
            flat = onnx.load(place / "x.flat.onnx", load_external_data=False)
            front = onnx.load(place / "x.onnx", load_external_data=False)
            count = lambda nodes: sorted(n.op_type for n in nodes)
            self.assertEqual(count(flat.graph.node), count(model.graph.node))
            inside = [n for f in front.functions for n in f.node]
            outside = [n for n in front.graph.node if n.domain != "org.backendctx"]
            self.assertEqual(count(inside + outside), count(model.graph.node))


if __name__ == "__main__":
    cases.main()
