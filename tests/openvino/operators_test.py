"""ONNX's own cases for every operator that the openvino plug-in takes, exported and imported as its blobs are.

Cases of one operator set make one model, each with names of its own, so that a few blobs try them all.
"""
import importlib
import os
import pathlib
import pkgutil
import tempfile
import unittest

import numpy
import onnx
from onnx import helper, numpy_helper

import cases
import layers
import openvino_test
import plugin_abi

# Of graphs, sequences and pictures, and long in the making.
LEFT_OUT = {"ai_onnx_ml", "image_decoder", "_image_decoder_data", "loop", "scan", "if_", "sequence_map"}
FEW = 3  # cases of each operator at normal counts
MICROSOFT = "com.microsoft"


def node_cases():
    """Each case of one node."""
    from onnx.backend.test.case import node
    for module in pkgutil.iter_modules(node.__path__):
        if module.name in LEFT_OUT or module.name.startswith("sequence") or module.name in UNKNOWN:
            continue
        before = len(node._NodeTestCases)
        importlib.import_module(f"{node.__name__}.{module.name}")
        for case in node._NodeTestCases[before:]:
            if case.model is None or len(case.model.graph.node) != 1 or case.name.endswith("_expanded"):
                continue
            yield case


# Modules of operators that the plug-in does not know: they are not even imported.
UNKNOWN = {
    "acos", "acosh", "adagrad", "adam", "affinegrid", "asin", "asinh", "atan", "atanh", "bernoulli", "bitcast", "bitshift",
    "bitwiseand", "bitwisenot", "bitwiseor", "bitwisexor", "blackmanwindow", "causal_conv_with_state", "center_crop_pad",
    "col2im", "compress", "cosh", "deformconv", "det", "dft", "dropout", "eyelike", "flexattention", "gridsample", "gru",
    "hammingwindow", "hannwindow", "linear_attention", "lppool", "lrn", "lstm", "maxunpool", "melweightmatrix", "momentum",
    "negativeloglikelihoodloss", "nonmaxsuppression", "optionalgetelement", "optionalhaselement", "regex_full_match",
    "reversesequence", "rnn", "roialign", "scatter", "shrink", "sinh", "softmax_cross_entropy_loss", "splittosequence",
    "stft", "string_concat", "string_split", "stringnormalizer", "tan", "tfidfvectorizer", "unique", "upsample"}


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else numpy.asarray(value)


class Together:
    """Cases of one operator set as one model."""

    def __init__(self):
        self.graph, self.inputs, self.expected, self.titles = onnx.GraphProto(name="cases"), {}, [], []

    def add(self, case, inputs, outputs):
        prefix = f"{len(self.titles)}_"
        for node in case.model.graph.node:
            node = self.copy(self.graph.node, node)
            for names in (node.input, node.output):
                renamed = [name and prefix + name for name in names]
                del names[:]
                names.extend(renamed)
        for kept, values in ((self.graph.input, case.model.graph.input), (self.graph.output, case.model.graph.output)):
            for value in values:
                value = self.copy(kept, value)
                value.name = prefix + value.name
        for tensor in case.model.graph.initializer:
            tensor = self.copy(self.graph.initializer, tensor)
            tensor.name = prefix + tensor.name
        for value, content in zip(case.model.graph.input, inputs, strict=False):
            self.inputs[prefix + value.name] = content
        self.expected += [(case.name, output) for output in outputs]
        self.titles.append(case.name)

    @staticmethod
    def copy(field, message):
        made = field.add()
        made.CopyFrom(message)
        return made


@unittest.skipUnless(openvino_test.PLUGIN.exists(), openvino_test.WHY_NOT)
class Operators(openvino_test.Host):
    def test_every_case_of_onnx_whose_node_is_taken_is_right_after_import(self):
        groups, operators, counts = {}, set(), {}
        for case in node_cases():
            node, version = case.model.graph.node[0], case.model.opset_import[0].version
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
            if counts[node.op_type] > FEW and not os.environ.get("BCTX_TEST_LONG"):
                continue
            inputs, outputs = ([array(v) for v in values] for values in case.data_sets[0])
            case = self.with_constants(case, inputs)
            claims, _ = self.plugin.offer(plugin_abi.HostGraph(case.model, self.folder.name))
            if claims:
                groups.setdefault(version, Together()).add(case, inputs, outputs)
                operators.add(node.op_type)
        for version, together in sorted(groups.items()):
            with self.subTest(opset=version, cases=len(together.titles)):
                self.run_together(version, together)
        self.assertGreater(len(operators), 70, sorted(operators))

    @staticmethod
    def with_constants(case, inputs):
        """Scales, zero points and axes are constants in models, and inputs in ONNX's cases."""
        node = case.model.graph.node[0]
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear", "Squeeze", "Unsqueeze"):
            return case
        for name, content in list(zip(node.input, inputs))[1:]:
            case.model.graph.initializer.append(numpy_helper.from_array(content, name))
        kept = [v for v in case.model.graph.input if v.name == node.input[0]]
        del case.model.graph.input[:]
        case.model.graph.input.extend(kept)
        return case

    def run_together(self, version, together):
        model = helper.make_model(together.graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10)
        graph = self.graph(model)
        kernel = self.load(self.plugin.compile(graph, self.here), graph)
        found = self.run_kernel(kernel, graph, together.inputs)
        for (name, expected), output in zip(together.expected, found, strict=True):
            with self.subTest(case=name):
                self.assertEqual((output.shape, output.dtype), (expected.shape, expected.dtype))
                numpy.testing.assert_allclose(output.astype("f8"), expected.astype("f8"), rtol=1e-3, atol=1e-5)

    def test_operators_of_runtimes_are_what_onnx_runtime_says(self):
        float_, shape = onnx.TensorProto.FLOAT, ["batch", 64]
        normal = layers.Builder(17)
        y = normal.node("SimplifiedLayerNormalization", ["x", normal.weight(64)], axis=-1, epsilon=1e-5)
        skip = layers.Builder(17)
        both = skip.node("SkipSimplifiedLayerNormalization", ["x", "x", skip.weight(64)], domain=MICROSOFT)
        fused = layers.Builder(17)
        product = fused.node("FusedMatMul", ["x", fused.weight(96, 64)], domain=MICROSOFT, transB=1, alpha=0.5)
        bits = layers.Builder(17)
        packed = bits.constant(bits.rng.integers(0, 256, (96, 2, 16)).astype(numpy.uint8))
        scales = bits.constant((bits.rng.random((96, 2)) * 0.02 + 0.01).astype(numpy.float32))
        four = bits.node("MatMulNBits", ["x", packed, scales], domain=MICROSOFT, K=64, N=96, bits=4, block_size=32)
        rows = [(normal, y, shape, ()), (skip, both, ["batch", "b", 64], (MICROSOFT,)),
                (fused, product, ["batch", 96], (MICROSOFT,)), (bits, four, ["batch", 96], (MICROSOFT,))]
        for builder, output, dims, domains in rows:
            with self.subTest(operator=builder.nodes[0].op_type):
                x = dims if len(dims) == 3 else shape
                model = builder.model([("x", float_, x)], [(output, float_, dims)], domains)
                graph = self.graph(model)
                self.assertEqual(self.plugin.offer(graph)[1], {})
                self.check(model, [{"batch": 3, "b": 5}, {"batch": 1, "b": 1}], 1e-4)


if __name__ == "__main__":
    cases.main()
