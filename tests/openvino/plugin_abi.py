"""A host of backend plug-ins in Python: plugin_abi.h version 1, as far as the tests here use it.

A model becomes a graph to read and a partition of all its nodes, as the packager would hand it over:
activations first, then the initializers in order; those of 128 bytes and more are the weight table.
"""
import ctypes as c
import hashlib
import pathlib

import numpy
import onnx
from onnx import numpy_helper

OK, INVALID_ARGUMENT, UNSUPPORTED, MALFORMED, INCOMPATIBLE, INTERNAL = range(6)
CODES = ["ok", "invalid-argument", "unsupported", "malformed", "incompatible", "internal"]
EMBEDDED, OFFSET = 1, 4
ONNX_WEIGHTS = 1
INLINE_LIMIT, WEIGHT_ALIGNMENT = 128, 64


def struct(name, *fields):
    return type(name, (c.Structure,), {"_fields_": list(fields)})


def sized(name, *fields):
    return struct(name, ("struct_size", c.c_uint32), *fields)


P, I32, I64, U64, SIZE, TEXT = c.c_void_p, c.c_int32, c.c_int64, c.c_uint64, c.c_size_t, c.c_char_p
Error = sized("Error", ("message", c.c_char * 500))
Bytes = struct("Bytes", ("data", P), ("size", SIZE))
KeyValue = struct("KeyValue", ("key", TEXT), ("value", TEXT))
Sink = sized("Sink", ("add", P), ("host", P))
Value = struct("Value", ("name", TEXT), ("element_type", I32), ("rank", I32), ("dims", c.POINTER(I64)))
Node = struct("Node", ("name", TEXT), ("domain", TEXT), ("op_type", TEXT), ("version", I64), ("inputs", c.POINTER(I32)),
              ("input_count", SIZE), ("outputs", c.POINTER(I32)), ("output_count", SIZE), ("has_graph", I32))
Attribute = sized("Attribute", ("kind", I32), ("count", SIZE), ("floats", c.POINTER(c.c_float)), ("ints", c.POINTER(I64)),
                  ("strings", c.POINTER(TEXT)))
Graph = sized("Graph", ("values", c.POINTER(Value)), ("value_count", SIZE), ("nodes", c.POINTER(Node)), ("node_count", SIZE),
              ("inputs", c.POINTER(I32)), ("input_count", SIZE), ("outputs", c.POINTER(I32)), ("output_count", SIZE),
              ("attribute", P), ("constant", P), ("onnx", P), ("host", P))
Claim = struct("Claim", ("nodes", c.POINTER(SIZE)), ("node_count", SIZE), ("whole", I32))
Refusal = struct("Refusal", ("node", SIZE), ("reason", TEXT))
OfferRequest = sized("OfferRequest", ("graph", c.POINTER(Graph)), ("options", c.POINTER(KeyValue)), ("option_count", SIZE))
Offer = sized("Offer", ("claims", c.POINTER(Claim)), ("claim_count", SIZE), ("refusals", c.POINTER(Refusal)),
              ("refusal_count", SIZE), ("plugin", P))
Weight = struct("Weight", ("input", SIZE), ("offset", U64), ("size", U64), ("digest", c.c_uint8 * 32))
Partition = sized("Partition", ("inputs", c.POINTER(Value)), ("input_count", SIZE), ("outputs", c.POINTER(Value)),
                  ("output_count", SIZE), ("attention", P), ("graph", c.POINTER(Graph)), ("constant", P),
                  ("weights", c.POINTER(Weight)), ("weight_count", SIZE), ("weight_file", P), ("host", P))
Requirement = struct("Requirement", ("key", TEXT), ("predicate", I32), ("values", c.POINTER(TEXT)), ("value_count", SIZE),
                     ("preferred", I32))
Blob = sized("Blob", ("bytes", Bytes), ("entry", TEXT), ("requirements", c.POINTER(Requirement)), ("requirement_count", SIZE),
             ("options", c.POINTER(KeyValue)), ("option_count", SIZE), ("weights", I32), ("label", TEXT), ("note", TEXT),
             ("plugin", P))
CompileRequest = sized("CompileRequest", ("partition", c.POINTER(Partition)), ("target", TEXT),
                       ("options", c.POINTER(KeyValue)), ("option_count", SIZE), ("dump_folder", TEXT))
Judgement = sized("Judgement", ("verdict", I32), ("reason", c.c_char * 500))
Tensor = struct("Tensor", ("data", P), ("dims", c.POINTER(I64)), ("rank", I32), ("element_type", I32))
BoundWeight = struct("BoundWeight", ("offset", U64), ("size", U64), ("data", P), ("file_offset", U64))
LoadRequest = sized("LoadRequest", ("blob", Bytes), ("entry", TEXT), ("options", c.POINTER(KeyValue)), ("option_count", SIZE),
                    ("weights", c.POINTER(BoundWeight)), ("weight_count", SIZE), ("weight_file", TEXT), ("threads", SIZE),
                    ("input_count", SIZE), ("output_count", SIZE))
Run = sized("Run", ("inputs", c.POINTER(Tensor)), ("input_count", SIZE), ("output_count", SIZE), ("output", P),
            ("parallel", P), ("threads", SIZE), ("host", P))
Table = sized("Table", ("abi_version", c.c_uint32), ("backend", TEXT), ("version", TEXT), ("targets", c.POINTER(TEXT)),
              ("option_keys", c.POINTER(TEXT)), ("compile", P), ("release_blob", P), ("load", P), ("run", P), ("unload", P),
              ("flags", U64), ("load_keys", c.POINTER(TEXT)), ("offer", P), ("release_offer", P), ("label", P), ("facts", P),
              ("judge", P))

AddText = c.CFUNCTYPE(None, P, TEXT, TEXT)
GiveAttribute = c.CFUNCTYPE(c.c_int, P, SIZE, TEXT, c.POINTER(Attribute), c.POINTER(Error))
GiveConstant = c.CFUNCTYPE(c.c_int, P, SIZE, c.POINTER(Bytes), c.POINTER(Error))
GiveOnnx = c.CFUNCTYPE(c.c_int, P, I32, c.POINTER(Bytes), c.POINTER(Error))
GiveFile = c.CFUNCTYPE(c.c_int, P, c.POINTER(TEXT), c.POINTER(Error))
GiveOutput = c.CFUNCTYPE(P, P, SIZE, c.POINTER(I64), I32)


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{CODES[code]}: {message}")
        self.code, self.message = CODES[code], message


def sized_new(kind, **members):
    made = kind(**members)
    made.struct_size = c.sizeof(kind)
    return made


def array(kind, items):
    return (kind * max(len(items), 1))(*items)


def pairs(options):
    return array(KeyValue, [KeyValue(k.encode(), v.encode()) for k, v in sorted(options.items())])


def texts(pointer):
    found = []
    while pointer[len(found)] is not None:
        found.append(pointer[len(found)].decode())
    return found


def raw(tensor):
    """The decoded bytes, as ONNX packs them."""
    return tensor.raw_data if tensor.HasField("raw_data") else numpy_helper.to_array(tensor).tobytes()


def without_constant_nodes(model):
    """As the packager shows it: what Constant nodes hold is a constant value."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        if node.op_type != "Constant":
            changed.graph.node.add().CopyFrom(node)
            continue
        tensor = changed.graph.initializer.add()
        tensor.CopyFrom(onnx.helper.get_attribute_value(node.attribute[0]))
        tensor.name = node.output[0]
    return changed


class HostGraph:
    """bctx_graph over a model, and what a partition of all of it adds."""

    def __init__(self, model, folder):
        model = without_constant_nodes(model)
        self.model, self.folder, self.keep = model, pathlib.Path(folder), []
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.types = {v.name: v.type.tensor_type for v in [*inferred.input, *inferred.value_info, *inferred.output]}
        self.initializers = {t.name: t for t in model.graph.initializer}
        self.names, self.values = {}, []
        self.activations = [v.name for v in model.graph.input if v.name not in self.initializers]
        nodes = [self.node(node) for node in model.graph.node]
        inputs = array(I32, [self.index(name) for name in self.activations])
        outputs = array(I32, [self.index(v.name) for v in model.graph.output])
        self.callbacks = [GiveAttribute(self.attribute), GiveConstant(self.constant), GiveOnnx(self.give_onnx),
                          GiveConstant(self.input_constant), GiveFile(self.weight_file)]
        pointers = [c.cast(f, P) for f in self.callbacks]
        self.lay_out_weights()
        self.keep += [array(Value, self.values), array(Node, nodes), inputs, outputs]
        self.graph = sized_new(Graph, values=self.keep[-4], value_count=len(self.values), nodes=self.keep[-3],
                               node_count=len(nodes), inputs=inputs, input_count=len(self.activations), outputs=outputs,
                               output_count=len(model.graph.output), attribute=pointers[0], constant=pointers[1],
                               onnx=pointers[2])
        self.operands = self.activations + list(self.initializers)
        boundary = array(Value, [self.value(name) for name in self.operands])
        results = array(Value, [self.value(v.name) for v in model.graph.output])
        table = array(Weight, [Weight(len(self.activations) + i, *self.places[name], (c.c_uint8 * 32)(
            *hashlib.sha256(raw(self.initializers[name])).digest())) for i, name in enumerate(self.initializers)
            if name in self.places])
        self.partition = sized_new(Partition, inputs=boundary, input_count=len(self.operands), outputs=results,
                                   output_count=len(model.graph.output), graph=c.pointer(self.graph), constant=pointers[3],
                                   weights=table, weight_count=len(self.places), weight_file=pointers[4])

    def value(self, name):
        if name in self.initializers:
            kind, dims = self.initializers[name].data_type, list(self.initializers[name].dims)
        elif name in self.types:
            kind = self.types[name].elem_type
            dims = [d.dim_value if d.HasField("dim_value") else -1 for d in self.types[name].shape.dim]
            dims = dims if self.types[name].HasField("shape") else None
        else:
            kind, dims = 0, None
        held = array(I64, dims or [])
        self.keep.append(held)
        return Value(name.encode(), kind, -1 if dims is None else len(dims), held)

    def index(self, name):
        if not name:
            return -1
        if name not in self.names:
            self.names[name] = len(self.values)
            self.values.append(self.value(name))
        return self.names[name]

    def node(self, node):
        inputs, outputs = (array(I32, [self.index(n) for n in names]) for names in (node.input, node.output))
        self.keep += [inputs, outputs]
        version = next((o.version for o in self.model.opset_import if o.domain == node.domain), 1)
        has_graph = any(a.HasField("g") for a in node.attribute)
        return Node(node.name.encode(), node.domain.encode(), node.op_type.encode(), version, inputs, len(node.input),
                    outputs, len(node.output), has_graph)

    def attribute(self, _, node, name, out, error):
        made = Attribute(out.contents.struct_size)
        for found in self.model.graph.node[node].attribute:
            if found.name != name.decode():
                continue
            value = onnx.helper.get_attribute_value(found)
            value = list(value) if isinstance(value, (list, tuple)) else [value]
            if found.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS):
                made.kind, made.ints = 2, array(I64, value)
            elif found.type in (onnx.AttributeProto.FLOAT, onnx.AttributeProto.FLOATS):
                made.kind, made.floats = 1, array(c.c_float, value)
            elif found.type in (onnx.AttributeProto.STRING, onnx.AttributeProto.STRINGS):
                made.kind, made.strings = 3, array(TEXT, value)
            else:
                made.kind = 4
            made.count = len(value)
            self.keep.append(made)
        c.memmove(out, c.byref(made), c.sizeof(made))
        return OK

    def bytes_of(self, name, out):
        if name not in self.initializers:
            return UNSUPPORTED
        held = c.create_string_buffer(raw(self.initializers[name]))
        self.keep.append(held)
        out.contents.data, out.contents.size = c.addressof(held), len(held) - 1
        return OK

    def constant(self, _, index, out, error):
        return self.bytes_of(self.values[index].name.decode(), out)

    def input_constant(self, _, index, out, error):
        return self.bytes_of(self.operands[index], out)

    def lay_out_weights(self):
        self.places, self.table = {}, bytearray()
        for name, tensor in self.initializers.items():
            content = raw(tensor)
            if len(content) < INLINE_LIMIT:
                continue
            self.table.extend(bytes(-len(self.table) % WEIGHT_ALIGNMENT))
            self.places[name] = (len(self.table), len(content))
            self.table.extend(content)

    def give_onnx(self, _, form, out, error):
        if form != ONNX_WEIGHTS:
            return UNSUPPORTED
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name not in self.places:
                continue
            kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims,
                                    data_location=onnx.TensorProto.EXTERNAL)
            offset, size = self.places[tensor.name]
            for key, value in (("location", "weights"), ("offset", offset), ("length", size)):
                kept.external_data.add(key=key, value=str(value))
            tensor.CopyFrom(kept)
        held = c.create_string_buffer(model.SerializeToString())
        self.keep.append(held)
        out.contents.data, out.contents.size = c.addressof(held), len(held) - 1
        return OK

    def weight_file(self, _, out, error):
        path = self.folder / "weights"
        path.write_bytes(self.table)
        held = c.c_char_p(str(path).encode())
        self.keep.append(held)
        out[0] = held
        return OK


class Compiled:
    def __init__(self, blob):
        self.bytes = c.string_at(blob.bytes.data, blob.bytes.size)
        self.entry, self.label, self.weights = blob.entry.decode(), blob.label.decode(), blob.weights
        self.note = blob.note.decode() if blob.note else ""
        self.options = {blob.options[i].key.decode(): blob.options[i].value.decode() for i in range(blob.option_count)}
        self.requirements = {r.key.decode(): [r.values[k].decode() for k in range(r.value_count)]
                             for r in (blob.requirements[i] for i in range(blob.requirement_count))}


class Kernel:
    def __init__(self, plugin, handle, keep, outputs):
        self.plugin, self.handle, self.keep, self.outputs = plugin, handle, keep, outputs

    def run(self, arrays, output_types):
        """Outputs of one run; `arrays`: every input of the partition, None for weights."""
        held, tensors = [], []
        for value in arrays:
            value = numpy.asarray(value if value is not None else numpy.zeros(0, numpy.float32), order="C")
            dims = array(I64, list(value.shape))
            held += [value, dims]
            tensors.append(Tensor(value.ctypes.data, dims, value.ndim, onnx.helper.np_dtype_to_tensor_dtype(value.dtype)))
        results = [None] * self.outputs

        def give(_, index, dims, rank):
            kind = onnx.helper.tensor_dtype_to_np_dtype(output_types[index])
            results[index] = numpy.empty([dims[i] for i in range(rank)], kind)
            return results[index].ctypes.data or 1

        callback = GiveOutput(give)
        run = sized_new(Run, inputs=array(Tensor, tensors), input_count=len(tensors), output_count=self.outputs,
                        output=c.cast(callback, P), threads=1)
        self.plugin.call("run", P(self.handle), c.byref(run))
        return results

    def close(self):
        if self.handle:
            c.CFUNCTYPE(None, P)(self.plugin.table.unload)(self.handle)
        self.handle = None


class Plugin:
    def __init__(self, path):
        library = c.CDLL(str(path))
        library.bctx_plugin_query.restype = c.POINTER(Table)
        self.table = library.bctx_plugin_query(1).contents
        self.targets, self.option_keys = texts(self.table.targets), texts(self.table.option_keys)

    def call(self, function, *arguments):
        error = sized_new(Error)
        code = c.CFUNCTYPE(c.c_int, *[P] * (len(arguments) + 1))(getattr(self.table, function))(
            *[c.cast(a, P) for a in arguments], c.cast(c.byref(error), P))
        if code != OK:
            raise Refused(code, error.message.decode())

    def offer(self, graph, options={}):
        """Nodes of each claim, and reason of each node that is refused."""
        given = pairs(options)
        request = sized_new(OfferRequest, graph=c.pointer(graph.graph), options=given, option_count=len(options))
        made = sized_new(Offer)
        self.call("offer", c.byref(request), c.byref(made))
        claims = [[made.claims[i].nodes[k] for k in range(made.claims[i].node_count)] for i in range(made.claim_count)]
        refusals = {made.refusals[i].node: made.refusals[i].reason.decode() for i in range(made.refusal_count)}
        c.CFUNCTYPE(None, P)(self.table.release_offer)(c.addressof(made))
        return claims, refusals

    def compile(self, graph, target, options={}, dump=None):
        given = pairs(options)
        request = sized_new(CompileRequest, partition=c.pointer(graph.partition), target=target.encode(), options=given,
                            option_count=len(options), dump_folder=str(dump).encode() if dump else None)
        blob = sized_new(Blob)
        self.call("compile", c.byref(request), c.byref(blob))
        compiled = Compiled(blob)
        c.CFUNCTYPE(None, P)(self.table.release_blob)(c.addressof(blob))
        return compiled

    def load(self, compiled, graph, weight_file=None, places=None, threads=1, **changes):
        """`places`: file offset of each weight in weight_file; by default the table itself is the file."""
        blob = c.create_string_buffer(changes.get("bytes", compiled.bytes))
        options = changes.get("options", compiled.options)
        weights = array(BoundWeight, [BoundWeight(offset, size, None, (places or {}).get(name, offset))
                                      for name, (offset, size) in graph.places.items()])
        given, handle = pairs(options), P()
        request = sized_new(LoadRequest, blob=Bytes(c.addressof(blob), len(blob) - 1),
                            entry=changes.get("entry", compiled.entry).encode(), options=given, option_count=len(options),
                            weights=weights, weight_count=len(graph.places),
                            weight_file=str(weight_file).encode() if weight_file else None, threads=threads,
                            input_count=changes.get("inputs", len(graph.operands)),
                            output_count=changes.get("outputs", len(graph.model.graph.output)))
        self.call("load", c.byref(request), c.byref(handle))
        return Kernel(self, handle.value, [blob, given, weights, request], len(graph.model.graph.output))

    def texts_from(self, function, *arguments):
        found = {}
        callback = AddText(lambda _, key, value: found.__setitem__(key.decode(), value.decode()))
        sink = sized_new(Sink, add=c.cast(callback, P))
        self.call(function, *arguments, c.byref(sink))
        return found

    def label(self, content):
        blob = c.create_string_buffer(content)
        return self.texts_from("label", c.byref(Bytes(c.addressof(blob), len(blob) - 1))).get("label")

    def facts(self):
        return self.texts_from("facts")

    def judge(self, label):
        made = sized_new(Judgement)
        self.call("judge", c.c_char_p(label.encode()), c.byref(made))
        return made.verdict, made.reason.decode()
