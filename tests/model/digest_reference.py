#!/usr/bin/env python3
"""Graph and structure digests after docs/format.md, sections 8 to 12, written without the library.

    digest_reference.py FOLDER   writes the golden models and their digests into FOLDER

Needs onnx and numpy. The tests of the library read the files; who changes the format runs this again.
A line of NAME.digests is `graph HEX` or, separated by "|" and within a field by ",",
`partition|GRAPH PATH|NODE KEYS|ACTIVATIONS|OUTPUTS|WEIGHTS|CONSTANTS|HEX`.
"""
import hashlib
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper


# ---- canonical stream ---------------------------------------------------------------------------

def number(n):
    return struct.pack("<Q", n & (2**64 - 1))


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return number(len(s)) + s


def each(items, write):
    items = list(items)
    return number(len(items)) + b"".join(write(item) for item in items)


def single(x):
    return struct.pack("<f", x)


def domain(name):
    return "" if name == "ai.onnx" else name


def by_name(items):
    return sorted(items, key=lambda item: item.name.encode())


def decoded(t):
    if t.data_type == TensorProto.STRING:
        return b"".join(text(s) for s in t.string_data)
    return t.raw_data or numpy_helper.to_array(t).tobytes()


def tensor(t):
    return b"T" + number(t.data_type) + each(t.dims, number) + hashlib.sha256(decoded(t)).digest()


def sparse(s):
    return tensor(s.values) + tensor(s.indices) + each(s.dims, number)


def dimension(d):
    kind = d.WhichOneof("value")
    if kind == "dim_value":
        return b"v" + number(d.dim_value)
    return b"p" + text(d.dim_param) if kind else b"?"


def shape(t):
    return b"[" + each(t.shape.dim, dimension) if t.HasField("shape") else b"?"


def value_type(t):
    kind = t.WhichOneof("value")
    if kind == "tensor_type":
        return b"t" + number(t.tensor_type.elem_type) + shape(t.tensor_type)
    if kind == "sparse_tensor_type":
        return b"s" + number(t.sparse_tensor_type.elem_type) + shape(t.sparse_tensor_type)
    if kind == "sequence_type":
        return b"q" + value_type(t.sequence_type.elem_type)
    if kind == "optional_type":
        return b"o" + value_type(t.optional_type.elem_type)
    if kind == "map_type":
        return b"m" + number(t.map_type.key_type) + value_type(t.map_type.value_type)
    if kind == "opaque_type":
        return b"x" + text(t.opaque_type.domain) + text(t.opaque_type.name)
    return b"?"


def attribute(a, graph):
    head = b"A" + text(a.name)
    if a.ref_attr_name:
        return head + b"R" + number(a.type) + text(a.ref_attr_name)
    a_type = AttributeProto
    write = {
        a_type.FLOAT: lambda: single(a.f), a_type.INT: lambda: number(a.i), a_type.STRING: lambda: text(a.s),
        a_type.TENSOR: lambda: tensor(a.t), a_type.GRAPH: lambda: graph(a.g),
        a_type.SPARSE_TENSOR: lambda: sparse(a.sparse_tensor), a_type.TYPE_PROTO: lambda: value_type(a.tp),
        a_type.FLOATS: lambda: each(a.floats, single), a_type.INTS: lambda: each(a.ints, number),
        a_type.STRINGS: lambda: each(a.strings, text), a_type.TENSORS: lambda: each(a.tensors, tensor),
        a_type.GRAPHS: lambda: each(a.graphs, graph), a_type.SPARSE_TENSORS: lambda: each(a.sparse_tensors, sparse),
        a_type.TYPE_PROTOS: lambda: each(a.type_protos, value_type),
    }
    return head + b"=" + number(a.type) + write[a.type]()


# ---- graph digest -------------------------------------------------------------------------------

def attributes(items):
    return each(by_name(items), lambda a: attribute(a, graph_stream))


def nodes_stream(nodes):
    return b"N" + each(nodes, lambda n: text(domain(n.domain)) + text(n.op_type) + text(n.overload)
                       + each(n.input, text) + each(n.output, text) + attributes(n.attribute))


def values(items):
    return each(items, lambda v: text(v.name) + value_type(v.type))


def graph_stream(g):
    sparse_sorted = sorted(g.sparse_initializer, key=lambda s: s.values.name.encode())
    return (b"G" + b"I" + values(g.input)
            + b"W" + each(by_name(g.initializer), lambda t: text(t.name) + tensor(t))
            + each(sparse_sorted, lambda s: text(s.values.name) + sparse(s))
            + nodes_stream(g.node) + b"Y" + values(g.output))


def imports(items):
    versions = {domain(i.domain).encode(): i.version for i in items}  # of several imports the last counts
    return b"O" + each(sorted(versions.items()), lambda pair: text(pair[0]) + number(pair[1]))


def functions(items):
    ordered = sorted(items, key=lambda f: (domain(f.domain).encode(), f.name.encode(), f.overload.encode()))
    return each(ordered, lambda f: b"F" + text(domain(f.domain)) + text(f.name) + text(f.overload)
                + each(f.input, text) + each(f.output, text) + each(f.attribute, text)
                + attributes(f.attribute_proto) + imports(f.opset_import) + nodes_stream(f.node))


def graph_digest(model):
    assert not model.training_info
    return hashlib.sha256(text("backendctx graph digest 1") + imports(model.opset_import)
                          + graph_stream(model.graph) + functions(model.functions) + number(0)).hexdigest()


# ---- structure digest ---------------------------------------------------------------------------

def constant(n):
    """(element type, dims, decoded bytes) of a Constant node that holds a tensor, else None."""
    if n.op_type != "Constant" or domain(n.domain):
        return None
    for a in n.attribute:
        if a.name == "value":
            return a.t.data_type, list(a.t.dims), decoded(a.t)
        if a.name == "value_int":
            return TensorProto.INT64, [], struct.pack("<q", a.i)
        if a.name == "value_float":
            return TensorProto.FLOAT, [], single(a.f)
        if a.name == "value_ints":
            return TensorProto.INT64, [len(a.ints)], struct.pack(f"<{len(a.ints)}q", *a.ints)
        if a.name == "value_floats":
            return TensorProto.FLOAT, [len(a.floats)], struct.pack(f"<{len(a.floats)}f", *a.floats)
    return None


def subgraphs(n):
    return [a.g for a in n.attribute if a.type == AttributeProto.GRAPH]


def definitions(g):
    return ({v.name for v in g.input} | {t.name for t in g.initializer} | {o for n in g.node for o in n.output})


def live(nodes):
    return [n for n in nodes if constant(n) is None]


def reads(n):
    """What a node reads of its own graph and those around it: inputs, then what its subgraphs capture."""
    names = [i for i in n.input if i]
    for a in by_name(n.attribute):
        if a.type == AttributeProto.GRAPH:
            names += captures(a.g)
    return names


def captures(g):
    names = [r for n in node_order(live(g.node), [o.name for o in g.output]) for r in reads(n)]
    return [r for r in names + [o.name for o in g.output] if r not in definitions(g)]


def node_order(nodes, outputs):
    maker = {o: n for n in nodes for o in n.output if o}
    order = []

    def visit(n):
        if any(n is done for done in order):
            return
        for name in reads(n):
            if name in maker:
                visit(maker[name])
        order.append(n)

    for name in outputs:
        if name in maker:
            visit(maker[name])
    for n in sorted(nodes, key=lambda n: key(n).encode()):
        visit(n)
    return order


class Structure:
    def __init__(self, model, chain, nodes, activations, outputs, weights, constants):
        self.chain, self.made, self.weights = chain, 0, {}
        first = {name: b"a" + number(i) for i, name in enumerate(activations)}
        self.levels = [(chain[-1], first)]
        domains = set()
        self.collect(live(nodes), domains)

        def version(name):
            return max([i.version for i in model.opset_import if domain(i.domain) == name], default=0)

        stream = text("backendctx structure digest 2")
        stream += each(sorted(domains, key=str.encode), lambda d: text(d) + number(version(d)))
        stream += number(len(activations)) + self.nodes(node_order(live(nodes), outputs))
        stream += each(outputs, lambda o: first[o]) + each(weights, self.use) + each(constants, self.use)
        self.digest = hashlib.sha256(stream).hexdigest()

    def collect(self, nodes, domains):
        for n in nodes:
            domains.add(domain(n.domain))
            for g in subgraphs(n):
                self.collect(live(g.node), domains)

    def nodes(self, nodes):
        return each(nodes, self.node)

    def node(self, n):
        stream = b"N" + text(domain(n.domain)) + text(n.op_type) + each(n.input, self.use)
        stream += each(by_name(n.attribute), lambda a: attribute(a, self.graph))
        return stream + each(n.output, self.make)

    def make(self, name):
        if not name:
            return b"-"
        self.levels[-1][1][name] = b"v" + number(self.made)
        self.made += 1
        return b"v"

    def graph(self, g):
        self.levels.append((g, {}))
        for value in g.input:
            self.make(value.name)
        stream = b"G" + number(len(g.input)) + self.nodes(node_order(live(g.node), [o.name for o in g.output]))
        stream += each(g.output, lambda o: self.use(o.name))
        self.levels.pop()
        return stream

    def use(self, name):
        if not name:
            return b"-"
        for g, known in reversed(self.levels):
            if name in known:
                return known[name]
            if name in definitions(g):
                return self.constant([g], name)
        return self.constant(reversed(self.chain), name)

    def constant(self, graphs, name):
        for g in graphs:
            for t in g.initializer:
                if t.name == name:
                    return self.write(name, t.data_type, t.dims, decoded(t))
            for n in g.node:
                if name in n.output:
                    return self.write(name, *constant(n))
        raise KeyError(name)

    def write(self, name, element_type, dims, data):
        if len(data) < 128:
            return b"c" + number(element_type) + each(dims, number) + text(data)
        position = self.weights.setdefault(name, len(self.weights))
        return b"w" + number(position) + number(element_type) + each(dims, number)


def key(n):
    return next((o for o in n.output if o), "")


def chain_to(graph, path, wanted, above=()):
    """The graphs from the main one to the one at `wanted`."""
    above = [*above, graph]
    if path == wanted:
        return above
    for n in graph.node:
        for a in n.attribute:
            if a.type == AttributeProto.GRAPH:
                found = chain_to(a.g, f"{path}/{key(n)}.{a.name}", wanted, above)
                if found:
                    return found
    return None


def structure_digest(model, path, keys, *boundary):
    chain = chain_to(model.graph, "", path)
    nodes = [n for n in chain[-1].node if key(n) in keys]
    return Structure(model, chain, nodes, *boundary).digest


# ---- golden models ------------------------------------------------------------------------------

def floats(name, dims, start=0.5):
    count = int(np.prod(dims))
    return numpy_helper.from_array((np.arange(count, dtype=np.float32) + start).reshape(dims), name)


def info(name, dims, element_type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, element_type, dims)


def branches():
    """Constants of every kind, branches that capture, an unsorted graph, a partition in a branch."""
    node = helper.make_node
    inner = helper.make_graph(
        [node("Constant", [], ["k"], value_float=3.0), node("Mul", ["a", "k"], ["u"]), node("Add", ["u", "small"], ["t"])],
        "then", [], [info("t", ["N", 8])])
    other = helper.make_graph([node("MatMul", ["r", "w"], ["q"]), node("Neg", ["q"], ["e"])], "else", [], [info("e", ["N", 8])])
    graph = helper.make_graph(
        [node("Reshape", ["m", "shape"], ["r"], name="unsorted"), node("MatMul", ["x", "w"], ["m"]),
         node("Constant", [], ["shape"], value_ints=[-1, 8]), node("Constant", [], ["big"], value=floats("", [8, 8], 7)),
         node("Gemm", ["r", "big"], ["a"], alpha=0.5, transB=1),
         node("If", ["c"], ["y"], then_branch=inner, else_branch=other),
         node("Clip", ["y", "", "small1"], ["z"])],
        "main", [info("x", ["N", 8]), info("c", [], TensorProto.BOOL)], [info("z", None)],
        initializer=[floats("w", [8, 8]), floats("small", [8]), floats("small1", [])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("other", 3)])
    model.ir_version = 8
    return model, [("", ["m", "r", "a"], ["x"], ["a", "r"], ["w", "big"], []),
                   ("", ["y", "z"], ["c", "a", "r"], ["z"], ["w"], ["small", "small1"]),
                   ("/y.then_branch", ["u", "t"], ["a"], ["t"], [], ["k", "small"]),
                   ("/y.else_branch", ["q", "e"], ["r"], ["e"], ["w"], [])]


def types():
    """Tensors in typed fields, strings, a sparse initializer, functions with attributes."""
    node = helper.make_node
    make = helper.make_tensor
    tensors = [make("f16", TensorProto.FLOAT16, [3], [1.0, -2.0, 0.25]), make("i8", TensorProto.INT8, [4], [-1, 2, -128, 127]),
               make("i64", TensorProto.INT64, [2], [-5, 2**40]), make("b", TensorProto.BOOL, [3], [True, False, True]),
               make("d", TensorProto.DOUBLE, [2], [0.1, -1e300]), make("s", TensorProto.STRING, [2], [b"one", b""]),
               make("u64", TensorProto.UINT64, [1], [2**64 - 1]), make("none", TensorProto.FLOAT, [0, 4], [])]
    graph = helper.make_graph(
        [node("twice", ["x"], ["h"], domain="local", factor=2.0),
         node("Relu", ["h"], ["y"], strings=["a", "bc"], floats=[1.0, 2.5], doc_string="ignored")],
        "main", [info("x", ["N", None, 4])], [info("y", ["N", None, 4])], initializer=tensors,
        sparse_initializer=[helper.make_sparse_tensor(floats("sparse", [2]), make("at", TensorProto.INT64, [2], [1, 5]), [9])])
    function = helper.make_function("local", "twice", ["a"], ["b"], [node("Constant", [], ["k"]), node("Mul", ["a", "k"], ["b"])],
                                    [helper.make_opsetid("", 17)], ["factor"])
    reference = function.node[0].attribute.add()
    reference.name, reference.type, reference.ref_attr_name = "value_float", AttributeProto.FLOAT, "factor"
    model = helper.make_model(graph, functions=[function],
                              opset_imports=[helper.make_opsetid("local", 1), helper.make_opsetid("ai.onnx", 17)])
    model.ir_version = 9
    return model, [("", ["y"], ["h"], ["y"], [], [])]


def main(folder):
    for make in (branches, types):
        model, partitions = make()
        lines = [f"graph {graph_digest(model)}"]
        for path, *names in partitions:
            lines.append("|".join(["partition", path, *(",".join(part) for part in names),
                                   structure_digest(model, path, *names)]))
        onnx.save(model, folder / f"{make.__name__}.onnx")
        (folder / f"{make.__name__}.digests").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
