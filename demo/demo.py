#!/usr/bin/env python3
"""Packs two real transformers, audits them, runs them compiled and plain, and shows what is refused and why.

Everything printed was measured in this run. The exit code is 1 when a stated limit is missed.
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import time
import warnings

import premise
import screen
from premise import Premise
from screen import Limits, section, text

MODELS = {  # at sequence length 512
    "minilm-l3": Premise(share=1 / 3, ratio=1.1),
    "minilm-l6-fp32": Premise(share=1 / 2, ratio=1.4),
}
SHORT_LIMIT = 0.98   # at 128
DIFFERENCE = 1e-4    # relative to an output's scale
BLOB_BYTES = 64 * 1024
ROUNDS = {128: 12, 512: 5}


def package(name):
    return f"{name}.package.onnx"


class Demo:
    def __init__(self, build, packages, work):
        import attention  # these import onnx and ONNX Runtime, which take a second
        import models
        import runtime
        from tools import Tools
        self.attention, self.models, self.runtime = attention, models, runtime
        self.build, self.packages = pathlib.Path(build), packages
        self.work = pathlib.Path(work).resolve()
        shutil.rmtree(self.work / "out", ignore_errors=True)
        self.out = self.work / "out"
        self.out.mkdir(parents=True)
        # Keys and trust of its own: the demo leaves the user's alone.
        os.environ["XDG_CONFIG_HOME"] = str(self.out / "alice")
        self.tools = Tools(build, self.out, dict(os.environ))
        self.limits = Limits()
        self.reports = {}

    def fetch(self):
        section("1. Two transformers from public packages")
        for name, path in self.models.fetch(self.packages, self.work / "models").items():
            link = self.out / path.name
            if not link.exists():
                os.link(path, link)
            text(f"  {name:<16}{path.stat().st_size / 1e6:7.1f} MB")

    def pack(self):
        section("2. Packed, with compiled attention for three kinds of CPU")
        for name in MODELS:
            report = f"{name}.report.json"
            self.tools.shown("bctx-pack", "pack", f"{name}.onnx", "-o", package(name), "--report", report)
            self.reports[name] = json.loads((self.out / report).read_text())
            self.judge_sizes(name)
        text()
        self.tools.shown("bctx-inspect", "show", package("minilm-l6-fp32"))
        self.tools.shown("bctx-inspect", "verify", package("minilm-l6-fp32"))

    def judge_sizes(self, name):
        report, sizes = self.reports[name], self.reports[name]["sizes"]
        model = (self.out / f"{name}.onnx").stat().st_size
        own = sum((self.out / path).stat().st_size for path in (report["front"], report["container"]))
        layers = {"minilm-l3": 3, "minilm-l6-fp32": 6}[name]
        self.limits.holds(f"{name}: attention subgraphs compiled", len(report["taken"]), layers)
        self.limits.holds(f"{name}: targets", len({c["target"] for c in report["contexts"]}), 3)
        self.limits.at_most(f"{name}: bytes over the model, no code", own - sizes["blob_bytes"] - model,
                            int(model * 0.01) + 65536, "{:d}")
        self.limits.at_most(f"{name}: largest blob, bytes", max(c["blob_bytes"] for c in report["contexts"]),
                            BLOB_BYTES, "{:d}")

    def answers(self):
        section("3. The same answers")
        for name in MODELS:
            original = self.runtime.plain(self.out / f"{name}.onnx")
            stock = self.runtime.plain(self.out / package(name))
            compiled, seen = self.runtime.report_of(self.out / package(name), self.out / "report.json")
            largest, same = 0.0, True
            for batch, length in [(1, 16), (3, 37), (2, 128), (1, 512)]:
                feeds = self.models.feeds(original, batch, length)
                largest = max(largest, self.runtime.difference(compiled, original, feeds))
                same = same and self.runtime.identical(stock, original, feeds)
            calls = seen["observed"]
            text(f"  {name:<16}{calls['compiled']} of {calls['compiled'] + calls['interpreted']} calls compiled; "
                 f"largest difference {largest:.1e} of scale")
            text(f"  {'':<16}as plain ONNX, without the provider: {'bit-identical' if same else 'DIFFERENT'}")
            self.limits.at_most(f"{name}: compiled against plain", largest, DIFFERENCE, "{:.1e}")
            self.limits.holds(f"{name}: stock runtime, same bits", same, True)
            self.limits.holds(f"{name}: calls interpreted", calls["interpreted"], 0)

    def speed(self):
        section("4. Faster where compiled")
        text("  milliseconds, best of interleaved runs; one thread: CPU time, two: wall clock")
        text(f"  {'':<14}{'length':>7}{'threads':>8}{'plain':>8}{'compiled':>9}{'ratio':>6}{'limit':>6}"
             "   share  attention's")
        for name, threads in itertools.product(MODELS, (1, 2)):
            plain = self.runtime.plain(self.out / f"{name}.onnx", threads)
            compiled = self.runtime.compiled(self.out / package(name), threads)
            for length in ROUNDS:
                feeds = self.models.feeds(plain, 1, length)
                runs = [(plain, feeds), (compiled, feeds)]
                if length == 512:
                    self.speed_against_share(name, length, threads, runs)
                else:
                    a, b = self.runtime.interleaved(runs, ROUNDS[length], lambda t: t[0] / t[1] >= SHORT_LIMIT, threads)
                    self.tell_speed(name, length, threads, a, b, SHORT_LIMIT)
        self.tell_premises()

    def speed_against_share(self, name, length, threads, runs):
        """The same with ONNX Runtime's attention alone as a third run, which says what there is to be won."""
        runs = runs + [self.attention.alone(self.out / package(name), runs[0][1], threads)]
        limit = MODELS[name].limit
        a, b, alone = self.runtime.interleaved(runs, ROUNDS[length],
                                               lambda t: t[0] / t[1] >= limit(t[2] / t[0]), threads)
        share = alone / a
        where = f" at {share:.0%}" if share < MODELS[name].share else ""
        gain = premise.attention_ratio(a, b, alone)
        self.tell_speed(name, length, threads, a, b, limit(share), where,
                        f"{share:>8.0%}{f'{gain:.2f}' if gain else '-':>13}")

    def tell_speed(self, name, length, threads, a, b, limit, where="", more=""):
        text(f"  {name:<14}{length:>7}{threads:>8}{a:>8.2f}{b:>9.2f}{a / b:>6.2f}{limit:>6.2f}{more}")
        self.limits.at_least(f"{name}: times faster, S {length}, {threads} threads", a / b, limit, "{:.2f}", where)

    def tell_premises(self):
        screen.wrapped("share: of the plain milliseconds, what the nodes that are compiled take when ONNX Runtime "
                       "runs them alone; attention's: how many times faster these nodes alone are", 2)
        screen.wrapped("limits at 512: " + "; ".join(
            f"{name} {promise.ratio:.1f} where attention's share is {promise.share:.0%} or more, which takes "
            f"attention {promise.attention_ratio():.2f} times faster" for name, promise in MODELS.items())
            + "; at a smaller share what attention that much faster gives there", 2)

    def copy(self, name, folder):
        """A copy of the package in a folder of its own: (front, container)."""
        report = self.reports[name]
        target = self.out / folder
        target.mkdir()
        paths = []
        for file in (report["front"], report["container"]):
            paths.append(target / pathlib.Path(file).name)
            shutil.copyfile(self.out / file, paths[-1])
        return paths

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x10]))

    def tampering(self):
        section("5. A byte changed: in the code that this machine loads, and in a weight")
        name = "minilm-l3"
        shown = self.tools.json("bctx-inspect", "show", package(name))
        loaded = next(context for scope in shown["scopes"] for partition in scope["partitions"]
                      for context in partition["contexts"] if context["outcome"] == "chosen")
        front, container = self.copy(name, "changed-code")
        self.flip(container, loaded["offset"] + loaded["stored_bytes"] // 2)
        code = self.tools.shown("bctx-inspect", "verify", str(front.relative_to(self.out)), expect=None, errors=False)
        self.limits.holds("changed code: exit code of verify", code, 4)
        try:
            self.runtime.compiled(front)
            refused, said = False, "a session was made"
        except Exception as error:  # whatever type the runtime's binding has for it
            refused, said = True, str(error)
        screen.wrapped("InferenceSession: " + said.replace(f"{self.out}/", "")[:300] + " ...", 0)
        self.limits.holds("changed code: the provider refuses", refused, True)
        front, container = self.copy(name, "changed-weight")
        self.flip(container, container.stat().st_size // 2)
        code = self.tools.shown("bctx-inspect", "verify", str(front.relative_to(self.out)), expect=None, errors=False)
        self.limits.holds("changed weight: exit code of verify", code, 4)

    def reasons(self, seen):
        return sorted({(d["outcome"], d["reason"], d["detail"]) for d in seen["decisions"]})

    def edited(self):
        section("6. Edited by another tool: converted to fp16")
        import onnx
        from onnxconverter_common import float16
        warnings.simplefilter("ignore")  # the converter names each number that fp16 cannot hold
        front, _ = self.copy("minilm-l6-fp32", "edited")
        model = float16.convert_float_to_float16(onnx.load(front), keep_io_types=True)
        path = front.with_name("edited.onnx")
        onnx.save(model, path)
        session, seen = self.runtime.report_of(path, self.out / "report.json")
        original = self.runtime.plain(self.out / "minilm-l6-fp32.onnx")
        apart = self.runtime.difference(session, original, self.models.feeds(original, 1, 64))
        self.tell_fallback(seen, "stale", "edited by fp16 conversion")
        text(f"  it runs all the same; fp16 against fp32: {apart:.1e} of scale")
        self.limits.at_most("edited: runs, difference as fp16", apart, 0.05, "{:.1e}")

    def tell_fallback(self, seen, word, what):
        calls = seen["observed"]
        text(f"  {calls['compiled']} calls compiled, {calls['interpreted']} interpreted, because:")
        for outcome, reason, detail in self.reasons(seen)[:3]:
            word_or_two = outcome if outcome == reason else f"{outcome}, {reason}"
            screen.wrapped(f"{word_or_two}: {detail}"[:240], 4)
        self.limits.holds(f"{what}: compiled calls", calls["compiled"], 0)
        said = any(word in (outcome, reason) for outcome, reason, _ in self.reasons(seen))
        self.limits.holds(f"{what}: the reason is said", said, True)

    def foreign(self):
        section("7. For another machine, by another user, for an older one")
        front = "foreign.package.onnx"
        self.tools.shown("bctx-pack", "pack", "minilm-l3.onnx", "-o", front, "--target", "aarch64")
        session, seen = self.runtime.report_of(self.out / front, self.out / "report.json")
        original = self.runtime.plain(self.out / "minilm-l3.onnx")
        self.tell_fallback(seen, "incompatible", "aarch64 only")
        same = self.runtime.identical(session, original, self.models.feeds(original, 1, 64))
        self.limits.holds("aarch64 only: same bits as plain", same, True)
        text("\n  another user, who does not trust the key:")
        os.environ["XDG_CONFIG_HOME"] = str(self.out / "bob")
        _, seen = self.runtime.report_of(self.out / package("minilm-l3"), self.out / "report.json")
        os.environ["XDG_CONFIG_HOME"] = str(self.out / "alice")
        self.tell_fallback(seen, "untrusted", "unknown key")

    def older_host(self):
        profile = self.tools.json("bctx-inspect", "host")
        profile["facts"]["cpu.features"] = [
            feature for feature in profile["facts"].get("cpu.features", [])
            if not feature.startswith(("avx2", "avx512", "avx_vnni", "amx", "fma"))]
        (self.out / "no-avx2.json").write_text(json.dumps(profile))
        text()
        arguments = ["why", package("minilm-l3"), "--profile", "no-avx2.json"]
        self.tools.shown("bctx-inspect", *arguments)
        decisions = self.tools.json("bctx-inspect", *arguments)["decisions"]
        explained = all(d["outcome"] == "rejected" and d["detail"] for d in decisions) and any(
            "avx2" in d["detail"] for d in decisions)
        self.limits.holds("a host without AVX2: explained", explained, True)

    def run(self):
        start = time.monotonic()
        self.fetch()
        self.runtime.register(self.build)
        for part in (self.pack, self.answers, self.speed, self.tampering, self.edited, self.foreign,
                     self.older_host):
            part()
        section("What was promised, and what was found")
        self.limits.print()
        text(f"the demo took {time.monotonic() - start:.0f} s; its files are in {self.out}")
        return 1 if self.limits.missed() else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--packages", required=True, help="where scripts/setup --models put the packages")
    parser.add_argument("--work", required=True, help="where the demo may write")
    options = parser.parse_args()
    raise SystemExit(Demo(options.build, options.packages, options.work).run())


if __name__ == "__main__":
    main()
