"""What documents list is what there is."""
import os
import pathlib
import re
import unittest

import cases

SOURCE = pathlib.Path(os.environ["BCTX_SOURCE"])


class Documents(unittest.TestCase):
    def test_every_pinned_dependency_has_a_line_with_its_version(self):
        document = (SOURCE / "docs/dependencies.md").read_text()
        rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in document.splitlines()
                if line.startswith("| ")}
        for line in (SOURCE / "dependencies.lock").read_text().splitlines():
            words = line.split()
            if not words or words[0] in ("#", "header"):
                continue
            name, version = (words[1], words[2]) if words[0] == "debian" else words[1].split("==")
            with self.subTest(package=name):
                self.assertIn((name, version), rows)

    def test_every_verb_of_the_tools_has_a_schema_for_its_json(self):
        schemas = {path.name.split(".")[0] for path in (SOURCE / "schemas").glob("*.schema.json")}
        for folder in ("packager", "inspector"):
            for path in (SOURCE / folder).glob("*.cc"):
                text = path.read_text()
                if '"--json"' in text or "AddReadFlags(verb" in text:
                    for verb in re.findall(r'(?:line\.Verb|line\.Group)\("([a-z]+)"', text):
                        if verb not in ("restore", "keygen"):
                            self.assertIn(verb, schemas, path.name)


if __name__ == "__main__":
    cases.main()
