"""What ONNX Runtime spends in the nodes that a package compiles, measured on those nodes alone.

The calls of a package's front become a model of their own, with everything else left out. It is run on the
values that the whole model gives them, in ONNX Runtime without the provider. So what is timed are the nodes
that the compiled code stands for, in one run as a whole, optimised as ONNX Runtime optimises any model. Its
profiler would need no second model, but writes an event for each node while it measures, and names nodes as its
optimiser left them: after fusions nothing says to which side of the partition's edge a node belongs.
"""
import pathlib

import numpy as np
import onnx

import runtime

DOMAIN = "org.backendctx"


def calls_of(front):
    return [node for node in front.graph.node if node.domain == DOMAIN]


def values_for(path, front, calls, feeds):
    """{name: array} of what the calls read, beside initializers, when the package runs as plain ONNX."""
    held = {tensor.name for tensor in front.graph.initializer}
    names = sorted({name for call in calls for name in call.input if name and name not in held})
    tapped = onnx.ModelProto()
    tapped.CopyFrom(front)
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    beside = pathlib.Path(path).with_suffix(".tapped.onnx")  # its weights lie in the same folder
    beside.write_bytes(tapped.SerializeToString())
    session = runtime.plain(beside)
    values = dict(zip(names, session.run(names, {value.name: feeds[value.name] for value in session.get_inputs()})))
    beside.unlink()
    return values


def alone(path, feeds, threads):
    """(session, feeds) of the calls of the package at `path` and nothing else."""
    front = onnx.load(path, load_external_data=False)
    calls = calls_of(front)
    values = values_for(path, front, calls, feeds)
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype),
                                                 [None] * (value.ndim - 1) + [value.shape[-1]])
              for name, value in values.items()]
    outputs = [onnx.ValueInfoProto(name=name) for call in calls for name in call.output]
    read = {name for call in calls for name in call.input}
    graph = onnx.helper.make_graph(calls, "attention", inputs, outputs,
                                   [tensor for tensor in front.graph.initializer if tensor.name in read])
    model = onnx.ModelProto(ir_version=front.ir_version, graph=graph, opset_import=front.opset_import,
                            functions=front.functions)
    beside = pathlib.Path(path).with_suffix(".attention.onnx")
    beside.write_bytes(model.SerializeToString())
    session = runtime.plain(beside, threads)
    beside.unlink()
    return session, {name: np.ascontiguousarray(value) for name, value in values.items()}
