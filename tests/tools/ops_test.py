"""bctx-inspect ops: every operator once, what it is for, who compiles it, why not."""
import collections
import json
import unittest

import onnx
import onnx.defs
from onnx import TensorProto, helper

import bctx
import cases
import json_schema
import sample_models

TABLE = json.loads((bctx.SOURCE / "schemas" / "operators.json").read_text())


def pipeline():
    """Text in, a branch, a function of the model's own, an operator that nobody knows."""
    def value(name, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, [None])
    then = helper.make_graph([helper.make_node("Neg", ["f"], ["t"])], "then", [], [value("t")])
    other = helper.make_graph([helper.make_node("Abs", ["f"], ["e"])], "else", [], [value("e")])
    nodes = [helper.make_node("StringNormalizer", ["text"], ["clean"]),
             helper.make_node("Twice", ["x"], ["d"], domain="own"),
             helper.make_node("Mystery", ["d"], ["f"], domain="else.where"),
             helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=other)]
    graph = helper.make_graph(nodes, "pipeline", [value("text", TensorProto.STRING), value("x"),
                                                  helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
                              [value("clean", TensorProto.STRING), value("y")])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1), helper.make_opsetid("else.where", 1)]
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                 [helper.make_opsetid("", 17)])
    return helper.make_model(graph, opset_imports=imports, functions=[twice], ir_version=8)


class Operators(unittest.TestCase):
    def setUp(self):
        self.context = bctx.folder()
        self.place = self.context.__enter__()
        self.user = bctx.User(self.place / "home")
        self.model, self.package = self.place / "model.onnx", self.place / "package.onnx"

    def tearDown(self):
        self.context.__exit__(None, None, None)

    def ops(self, file):
        found = self.user.json("bctx-inspect", "ops", file)
        schema = json.loads((bctx.SOURCE / "schemas" / "ops.schema.json").read_text())
        self.assertEqual(json_schema.violations(found, schema), [])
        for use in found["operators"]:
            self.assertEqual(use["nodes"], use["compiled"] + sum(r["nodes"] for r in use["not_compiled"]))
        self.assertEqual(found["nodes"], sum(use["nodes"] for use in found["operators"]))
        self.assertEqual(found["nodes"], sum(found["levels"].values()))
        self.assertEqual(found["compiled"], sum(use["compiled"] for use in found["operators"]))
        return found

    def test_a_package_says_who_compiles_each_operator_and_a_plain_model_what_would_be(self):
        onnx.save(sample_models.decomposed(), self.model)
        self.user.ok("bctx-pack", "pack", self.model, "-o", self.package, "--ort", "none")
        nodes = collections.Counter(node.op_type for node in onnx.load(self.model).graph.node)
        found = self.ops(self.package)
        self.assertEqual({use["operator"]: use["nodes"] for use in found["operators"]}, dict(nodes))
        self.assertEqual(found["levels"]["P1"], found["nodes"])
        softmax, = (use for use in found["operators"] if use["operator"] == "Softmax")
        self.assertEqual(softmax["compiled"], softmax["nodes"])
        self.assertEqual(softmax["compilers"], [{"backend": "cpu-attention", "target": target, "nodes": 2}
                                                for target in ("aarch64", "x86-64-v3", "x86-64-v4")])
        shown = self.user.json("bctx-inspect", "show", self.package)
        covered = {partition["id"]: partition["nodes"] for scope in shown["scopes"] for partition in scope["partitions"]}
        self.assertEqual(found["compiled"], sum(covered.values()))
        container, = self.place.glob("*.bctx")
        self.assertEqual(self.ops(container)["operators"], found["operators"])
        plain = self.ops(self.model)
        self.assertEqual((plain["variant"], plain["compiled"], plain["nodes"]), (None, 0, found["nodes"]))
        softmax, = (use for use in plain["operators"] if use["operator"] == "Softmax")
        self.assertIn("packing offers it to backends", softmax["not_compiled"][0]["reason"])

    def test_what_packing_does_not_take_has_the_reason_that_packing_gives(self):
        model = sample_models.decomposed()
        for node in model.graph.node:
            if node.op_type == "Softmax":
                del node.attribute[:]
                node.attribute.append(helper.make_attribute("axis", 1))
        onnx.save(model, self.model)
        packed = self.user.json("bctx-pack", "pack", self.model, "-o", self.package, "--ort", "none")
        reasons = collections.Counter(untaken["reason"] for untaken in packed["not_taken"])
        self.assertGreater(sum(reasons.values()), 0)
        for file in (self.package, self.model):
            said = collections.Counter()
            for use in self.ops(file)["operators"]:
                said.update({reason["reason"]: reason["nodes"] for reason in use["not_compiled"]})
            for reason, count in reasons.items():
                self.assertEqual(said[reason], count)

    def test_pipeline_elements_functions_and_unknown_operators_are_told_apart(self):
        onnx.save(pipeline(), self.model)
        found = self.ops(self.model)
        levels = {use["operator"]: use["level"] for use in found["operators"]}
        self.assertEqual(levels, {"StringNormalizer": "P2", "Twice": "function", "Mystery": "unlisted", "If": "P1",
                                  "Neg": "P1", "Abs": "P1", "Add": "P1"})
        self.assertEqual(found["levels"], {"P1": 4, "P2": 1, "function": 1, "unlisted": 1})
        add, = (use for use in found["operators"] if use["operator"] == "Add")
        self.assertEqual(add["not_compiled"], [{"reason": "inside a function of the model's own", "nodes": 1}])
        text = self.user.ok("bctx-inspect", "ops", self.model)
        self.assertIn("7 nodes, 0 compiled", text)
        self.assertIn("else.where.Mystery", text)

    def test_a_variant_that_is_not_there_is_named(self):
        onnx.save(sample_models.decomposed(), self.model)
        self.user.ok("bctx-pack", "pack", self.model, "-o", self.package, "--ort", "none", "--target", "host")
        self.ops(self.package)
        done = self.user.run("bctx-inspect", "ops", self.package, "--variant", "int3")
        self.assertEqual(done.returncode, 2)
        self.assertIn("int3", done.stderr)


class Table(unittest.TestCase):
    def test_it_keeps_its_schema_and_names_each_operator_once(self):
        schema = json.loads((bctx.SOURCE / "schemas" / "operators.schema.json").read_text())
        self.assertEqual(json_schema.violations(TABLE, schema), [])
        names = [(row["domain"], row["operator"]) for row in TABLE["operators"]]
        self.assertEqual(names, sorted(set(names)))

    def test_it_has_every_operator_of_the_standard(self):
        names = {(row["domain"], row["operator"]) for row in TABLE["operators"]}
        standard = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
        self.assertGreater(len(standard), 200)
        self.assertEqual(standard - names, set())


if __name__ == "__main__":
    cases.main()
