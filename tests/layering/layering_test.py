"""Includes run one way, and heavy third-party headers stay in the folder that owns them."""
import os
import pathlib
import tempfile
import unittest

import cases
import layering


class Layering(unittest.TestCase):
    def test_the_sources_have_no_forbidden_arrow(self):
        found = layering.violations(os.environ["BCTX_SOURCE"])
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def violation(self, path, include):
        """What is said of a tree with one file that has one include."""
        with tempfile.TemporaryDirectory() as root:
            file = pathlib.Path(root) / path
            file.parent.mkdir(parents=True)
            file.write_text(f"#pragma once\n  #  include {include}\n")
            return layering.violations(root)

    def test_each_kind_of_forbidden_include_is_found(self):
        modules = "libbackendctx/src/"
        for path, include in [
            (modules + "base/a.cc", '"container/container.h"'),       # upwards
            (modules + "scope/a.cc", '"patterns/attention.h"'),       # between siblings
            (modules + "select/a.h", '"weights/sharing.h"'),
            (modules + "package/a.cc", '"authoring/pack.h"'),
            (modules + "container/os/a.cc", "<openssl/evp.h>"),       # another folder's library
            (modules + "authoring/a.cc", "<llvm/IR/Module.h>"),
            (modules + "package/a.cc", "<onnx/onnx_pb.h>"),
            ("libbackendctx/include/backendctx/a.h", "<fmt/format.h>"),
            ("libbackendctx/include/backendctx/a.h", '"base/bytes.h"'),
            ("backends/cpu_attention/driver/a.cc", "<llvm/IR/Module.h>"),
            ("backends/cpu_attention/driver/a.cc", '"compiler/plan.h"'),
            ("backends/cpu_attention/compiler/a.cc", "<backendctx/package.h>"),
            ("packager/a.cc", '"package/state.h"'),
            ("inspector/a.cc", '"packager/verbs.h"'),
            ("ort/provider/a.cc", '"authoring/pack.h"'),
            (modules + "base/a.cc", "<boost/any.hpp>"),               # nobody's
            (modules + "unheard_of/a.cc", "<string>"),                # a folder without a rule
        ]:
            with self.subTest(path=path, include=include):
                self.assertEqual(len(self.violation(path, include)), 1)

    def test_allowed_includes_are_let_through(self):
        for path, include in [
            ("libbackendctx/src/package/a.cc", '"container/container.h"'),
            ("libbackendctx/src/crypto/a.cc", "<openssl/evp.h>"),
            ("libbackendctx/src/base/os/a.cc", "<sys/stat.h>"),
            ("packager/a.cc", "<backendctx/pack.h>"),
            ("backends/cpu_attention/driver/a.cc", "<backendctx/plugin_abi.h>"),
        ]:
            with self.subTest(path=path, include=include):
                self.assertEqual(self.violation(path, include), [])


if __name__ == "__main__":
    cases.main()
