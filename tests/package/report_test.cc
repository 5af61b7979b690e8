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

}  // namespace backendctx::tests
