// What packing says about the regions that it saw: each is taken or not, and why not is said once.
#include <cstring>

#include "package/small_package.h"

namespace backendctx::tests {
namespace {

bctx_code Refuse(const bctx_compile_request* request, bctx_blob*, bctx_error* error) {
  const bool same = request->option_count == 0;
  std::strncpy(error->message, same ? "head size 8" : request->target, sizeof(error->message) - 1);
  return BCTX_UNSUPPORTED;
}

// Takes nothing: for one reason, or with an option for another one on each target.
plugin::Plugin RefusingBackend() {
  static const char* const kOptions[] = {"each", nullptr};
  static bctx_plugin table = *TinyBackend();
  table.compile = &Refuse;
  table.option_keys = kOptions;
  return plugin::Plugin::FromTable(&table).value();
}

Result<PackReport> PackText(const std::string& text, const plugin::Plugin& backend,
                            const std::map<std::string, std::string>& options = {}) {
  const test::Scratch scratch;
  WriteModel(text, scratch / "model.onnx");
  PackOptions pack;
  pack.backends = {{"tiny", options}};
  return authoring::PackWith({backend}, scratch / "model.onnx", scratch / "package.onnx", pack);
}

// Programs that stand in for those of a proof. The body's is right about cases of which there are
// none; the one that runs compiled code agrees, or fails.
ProofTools ToolsThat(const test::Scratch& scratch, bool agree) {
  const std::string none("BCTXPRS1\0\0\0\0", 12);  // as backends/proof/proof_file.h has it
  REQUIRE(os::WriteFile(scratch / "none", none, os::AtomicFile::kReplace).ok());
  const std::string answer = "#!/bin/sh\ncp '" + (scratch / "none") + "' \"$3\"\n";
  const std::string fail = "#!/bin/sh\necho lost >&2\nexit 3\n";
  const std::string& run = agree ? answer : fail;
  REQUIRE(os::WriteFile(scratch / "bctx-run-body", answer, os::AtomicFile::kReplace, 0700).ok());
  REQUIRE(os::WriteFile(scratch / "bctx-run", run, os::AtomicFile::kReplace, 0700).ok());
  ProofTools tools;
  tools.folder = scratch.path().string();
  tools.ort_library = "unused";
  return tools;
}

// Packed for both targets of the tiny backend, of which this machine can run one.
PackReport PackProved(bool agree) {
  const test::Scratch scratch;
  WriteModel(kSmallModel, scratch / "model.onnx");
  PackOptions pack;
  pack.backends = {{"tiny", {}}};
  pack.proof = ToolsThat(scratch, agree);
  return authoring::PackWith({Tiny()}, scratch / "model.onnx", scratch / "package.onnx", pack)
      .value();
}

}  // namespace

TEST_CASE("a region that no backend takes is not taken, for one reason", "[authoring]") {
  const PackReport report = PackText(kSmallModel, RefusingBackend()).value();
  CHECK(report.taken.empty());
  CHECK(report.contexts.empty());
  CHECK(report.dropped.empty());
  REQUIRE(report.not_taken.size() == 1);
  CHECK(report.not_taken[0].op == "Attention");
  CHECK(report.not_taken[0].reason == "tiny: compile: head size 8");
}

TEST_CASE("reasons that differ by target are said with their targets", "[authoring]") {
  const PackReport report = PackText(kSmallModel, RefusingBackend(), {{"each", "yes"}}).value();
  CHECK(report.taken.empty());
  REQUIRE(report.not_taken.size() == 1);
  CHECK(report.not_taken[0].reason ==
        "tiny: tiny: compile: tiny; tiny-nowhere: tiny: compile: tiny-nowhere");
}

TEST_CASE("attention among unsorted nodes is compiled", "[authoring]") {
  std::string text = kSmallModel;
  const std::string first = "q = MatMul (x, w)", second = "y = Attention (q, x, x)";
  text.replace(text.find(first), first.size(), "");
  text.replace(text.find(second), second.size(), second + "\n    " + first);
  const PackReport report = PackText(text, Tiny()).value();
  CHECK(report.taken.size() == 1);
  CHECK(report.not_taken.empty());
  CHECK(report.contexts.size() == 2);
}

TEST_CASE("a region whose names a manifest cannot hold stays interpreted", "[authoring]") {
  const test::Scratch scratch;
  onnx::ModelProto model;
  REQUIRE(onnx::OnnxParser::Parse(model, kSmallModel).IsOK());
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    for (auto* names : {node.mutable_input(), node.mutable_output()}) {
      for (std::string& name : *names) {
        if (name == "q") name = "q\nq";
      }
    }
  }
  REQUIRE(
      os::WriteFile(scratch / "model.onnx", model.SerializeAsString(), os::AtomicFile::kMustBeNew)
          .ok());
  PackOptions options;
  options.backends = {{"tiny", {}}};
  const Result<PackReport> report =
      authoring::PackWith({Tiny()}, scratch / "model.onnx", scratch / "package.onnx", options);
  REQUIRE(report.has_value());
  CHECK(report->taken.empty());
  REQUIRE(report->not_taken.size() == 1);
  CHECK(report->not_taken[0].reason.find("q\\x0aq") != std::string::npos);
  const Result<Package> package = Package::Open(scratch / "package.onnx", {});
  REQUIRE(package.has_value());
  REQUIRE(package->Restore(scratch / "restored.onnx", "default", false).ok());
  CHECK(os::ReadFile(scratch / "restored.onnx", 1 << 20).value() == model.SerializeAsString());
}

TEST_CASE("a model that nothing can run is refused with its file", "[authoring][hostile]") {
  std::string text = kSmallModel;
  text.replace(text.find("MatMul (x, w)"), 13, "MatMul (x, u)");
  const Result<PackReport> report = PackText(text, Tiny());
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error().code() == StatusCode::kMalformed);
  CHECK(report.error().detail().file.ends_with("model.onnx"));
  CHECK(report.error().message().find("\"u\"") != std::string::npos);
}

TEST_CASE("code that was not run goes when its compiler's code for another target was wrong",
          "[authoring]") {
  const PackReport right = PackProved(true);
  CHECK(right.dropped.empty());
  REQUIRE(right.contexts.size() == 2);
  CHECK(right.contexts[0].target == "tiny");
  CHECK(right.contexts[0].proof.passed);
  CHECK(right.contexts[1].target == "tiny-nowhere");
  CHECK_FALSE(right.contexts[1].proof.passed);

  const PackReport wrong = PackProved(false);
  CHECK(wrong.contexts.empty());
  const std::string lost = "exit code 3: lost",
                    left = "it could not be run here, and the code for tiny was wrong";
  CHECK(wrong.dropped == std::vector<std::string>{"attention-0 for tiny: " + lost,
                                                  "attention-0 for tiny-nowhere: " + left});
  REQUIRE(wrong.not_taken.size() == 1);
  CHECK(wrong.not_taken[0].reason == "tiny: tiny: " + lost + "; tiny-nowhere: tiny: " + left);
}

}  // namespace backendctx::tests
