"""Every form of exporter_forms.py is found, computes what is reported of it, and its twins stay alone."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
import onnx
import onnx.parser

import cases
import exporter_forms
import try_regions

PRINT_ATTENTION = pathlib.Path(os.environ["BCTX_BUILD"]) / "bin" / "print_attention"


def write(text, folder):
    path = pathlib.Path(folder) / "form.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def report(path):
    lines = subprocess.run([PRINT_ATTENTION, "--json", path], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


class Forms(unittest.TestCase):
    def setUp(self):
        self.context = tempfile.TemporaryDirectory()
        self.folder = self.context.name

    def tearDown(self):
        self.context.cleanup()

    def check_found(self, path, expected):
        region, = report(path)
        self.assertNotIn("not_taken", region, region.get("reason"))
        seen = {key: region[key] for key in expected if key in region}
        seen |= {key: region[key]["value"] for key in "qkvy" if key in expected}
        if "masks" in expected:
            seen["masks"] = [(mask["value"], mask["kind"]) if mask["kind"] == "add" else
                             (mask["value"], mask["kind"], float(np.float32(mask["fill"]))) for mask in region["masks"]]
        if "axes" in expected:
            seen["axes"] = {key: region[key]["axis"] for key in expected["axes"]}
        self.assertEqual(seen, expected)
        self.assertEqual(try_regions.check(path, PRINT_ATTENTION), 1)

    def check_alone(self, path, words):
        if not words:
            return self.assertEqual(report(path), [])
        line, = report(path)
        self.assertIn("not_taken", line)
        self.assertIn(words, line["reason"])
        self.assertTrue(line["not_taken"])

    def test_every_form_is_found_and_computes_what_is_reported(self):
        for form in exporter_forms.FORMS:
            with self.subTest(form=form.name):
                self.check_found(write(form.text(), self.folder), form.found)

    def test_twins_stay_alone_or_are_read_for_what_they_are(self):
        for form in exporter_forms.FORMS:
            for before, after, expected in form.twins:
                with self.subTest(form=form.name, twin=after):
                    text = form.text()
                    self.assertEqual(text.count(before), 1, f"{before!r} in {text}")
                    path = write(text.replace(before, after), self.folder)
                    check = self.check_found if isinstance(expected, dict) else self.check_alone
                    check(path, expected)

    def test_what_looks_like_attention_is_named_with_the_reason(self):
        for form in exporter_forms.LEFT_ALONE:
            with self.subTest(form=form.name):
                self.check_alone(write(form.text(), self.folder), form.found["words"])

    def test_each_form_has_a_twin(self):
        self.assertEqual([form.name for form in exporter_forms.FORMS if not form.twins], [])


if __name__ == "__main__":
    cases.main()
