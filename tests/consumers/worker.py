"""One consumer of ONNX models on one model: worker.py CONSUMER MODEL INPUTS.npz OUT

Engines run the model on the inputs and leave OUT.npz; tools write the model that they make to OUT.onnx;
readers only open it. The exit code says whether the consumer took the model.
"""
import sys

import numpy as np
import onnx


def openvino(model, inputs, out):
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(inputs)
    np.savez(out + ".npz", *[found[port] for port in compiled.outputs])


def opencv(model, inputs, out):
    import cv2
    net = cv2.dnn.readNetFromONNX(model, engine=cv2.dnn.ENGINE_NEW)
    for name, value in inputs.items():
        net.setInput(value, name)
    np.savez(out + ".npz", *net.forward([o.name for o in onnx.load(model, load_external_data=False).graph.output]))


def tract(model, inputs, out):
    import tract
    graph = tract.onnx().load(model)
    for i, value in enumerate(inputs.values()):
        kind = {"float32": "f32", "int64": "i64", "bool": "bool"}[str(value.dtype)]
        graph.set_input_fact(i, ",".join(map(str, value.shape)) + "," + kind)
    found = graph.into_model().into_runnable().run(list(inputs.values()))
    np.savez(out + ".npz", *[o.to_numpy() for o in found])


def onnxslim(model, inputs, out):
    import onnxslim
    onnxslim.slim(model, out + ".onnx")


def onnxsim(model, inputs, out):
    import onnxsim
    simplified, right = onnxsim.simplify(model)
    assert right
    onnx.save(simplified, out + ".onnx")


def onnx_ir(model, inputs, out):
    import onnx_ir
    import onnx_ir.passes.common as passes
    loaded = onnx_ir.load(model)
    passes.CheckerPass()(loaded)
    onnx_ir.save(passes.RemoveUnusedNodesPass()(loaded).model, out + ".onnx")


def onnxscript(model, inputs, out):
    import onnx_ir
    import onnxscript.optimizer
    onnx_ir.save(onnxscript.optimizer.optimize(onnx_ir.load(model)), out + ".onnx")


def graphsurgeon(model, inputs, out):
    import onnx_graphsurgeon
    graph = onnx_graphsurgeon.import_onnx(onnx.load(model))
    onnx.save(onnx_graphsurgeon.export_onnx(graph.cleanup().toposort()), out + ".onnx")


def spox(model, inputs, out):
    import spox
    loaded = onnx.load(model)
    arguments = {i.name: spox.argument(spox.Tensor(inputs[i.name].dtype, [None] * inputs[i.name].ndim))
                 for i in loaded.graph.input}
    results = spox.inline(loaded)(**arguments)
    onnx.save(spox.build(arguments, dict(results)), out + ".onnx")


def onnx_checker(model, inputs, out):
    onnx.checker.check_model(model, full_check=True)


def onnx_shapes(model, inputs, out):
    onnx.shape_inference.infer_shapes_path(model, out + ".onnx", strict_mode=True, data_prop=True)


def onnx_inliner(model, inputs, out):
    import onnx.inliner
    onnx.save(onnx.inliner.inline_local_functions(onnx.load(model)), out + ".onnx")


def onnx_reference(model, inputs, out):
    import onnx.reference
    np.savez(out + ".npz", *onnx.reference.ReferenceEvaluator(onnx.load(model)).run(None, inputs))


def onnx_versions(model, inputs, out):
    import onnx.version_converter
    onnx.save(onnx.version_converter.convert_version(onnx.load(model), 21), out + ".onnx")


def ort_shapes(model, inputs, out):
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference
    onnx.save(SymbolicShapeInference.infer_shapes(onnx.load(model), auto_merge=True), out + ".onnx")


if __name__ == "__main__":
    name, model, inputs, out = sys.argv[1:]
    globals()[name](model, dict(np.load(inputs)), out)
