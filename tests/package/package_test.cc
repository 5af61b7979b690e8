#include "container/container.h"
#include "package/runtime.h"
#include "package/small_package.h"

namespace backendctx::tests {
namespace {

HostProfile Linux() {
  HostProfile profile;
  profile.facts["os"] = std::string("linux");
  return profile;
}

TEST_CASE("a package opens, verifies and tells what it holds", "[package]") {
  const SmallPackage made;
  const Result<Package> package = made.Open();
  REQUIRE(package.has_value());
  CHECK(package->encoding() == "function");
  CHECK(package->opset() == 23);
  CHECK(package->ir_version() == 9);
  CHECK(package->trust().trusted);
  REQUIRE(package->manifest().contexts.size() == 1);
  const manifest::Context& context = package->manifest().contexts.front();
  CHECK(context.backend == "tiny");
  CHECK_FALSE(context.proof.passed);
  CHECK_FALSE(context.proof.reason.empty());
  CHECK(package->ContextBytes(context.id).value().starts_with("TINYBLOB"));
  CHECK(package->ContextBytes("nothing").status().code() == StatusCode::kNotFound);
  CHECK(package->bindings().front().stale.empty());
  const VerifyReport report = package->Verify({});
  INFO(report.first_error.message());
  CHECK(report.first_error.ok());
}

TEST_CASE("restore gives the model back and packing it again gives the same bytes", "[package]") {
  SmallPackage made;
  const Package package = made.Open().value();
  const std::string restored = made.scratch() / "restored.onnx";
  REQUIRE(package.Restore(restored, "", false).ok());
  CHECK_FALSE(package.Restore(restored, "", false).ok());  // exists
  const std::string before = os::ReadFile(made.report().front, 1 << 20).value();
  made.options().force = true;
  made.options().name = "model";
  const plugin::Plugin tiny = Tiny();
  const Result<PackReport> again =
      authoring::PackWith({tiny}, restored, made.scratch() / "package.onnx", made.options());
  REQUIRE(again.has_value());
  CHECK(os::ReadFile(again->front, 1 << 20).value() == before);
  CHECK(again->container == made.report().container);
}

TEST_CASE("code of an unsigned package is never loaded", "[package][trust]") {
  const SmallPackage made(false);
  const Result<Package> package = made.Open();
  REQUIRE(package.has_value());
  CHECK(package->Verify({}).first_error.code() == StatusCode::kUntrusted);
  CHECK(package->Verify({.allow_unsigned = true}).first_error.ok());
  const auto selection = package::SelectAndLoad(*package, Linux(), {}, {Tiny()});
  REQUIRE(selection.has_value());
  CHECK(selection->loaded.empty());
  CHECK(selection->decisions.front().reason == "untrusted");
}

TEST_CASE("code signed by an unknown key is not loaded, by a trusted one it is",
          "[package][trust]") {
  const SmallPackage made;
  const Result<Package> stranger = made.Open({SigningKey::Generate().value().Public()});
  REQUIRE(stranger.has_value());
  CHECK(stranger->trust().signatures.front().state == SignatureState::kUnknownKey);
  CHECK(stranger->Verify({}).first_error.code() == StatusCode::kUntrusted);
  CHECK(package::SelectAndLoad(*stranger, Linux(), {}, {Tiny()})->loaded.empty());
  const Package friendly = made.Open().value();
  CHECK(package::SelectAndLoad(friendly, Linux(), {}, {Tiny()})->loaded.size() == 1);
}

TEST_CASE("a context for another machine and one without a driver are rejected with the reason",
          "[package][select]") {
  const SmallPackage elsewhere(true, "tiny-nowhere");
  HostProfile host = Linux();
  host.facts["cpu.features"] = std::vector<std::string>{"avx2"};
  const auto selection = package::SelectAndLoad(elsewhere.Open().value(), host, {}, {Tiny()});
  REQUIRE(selection.has_value());
  CHECK(selection->loaded.empty());
  CHECK(selection->decisions.front().verdict == Verdict::kUnsupported);
  CHECK(selection->decisions.front().detail.find("a-feature-of-no-machine") != std::string::npos);
  // A machine of which nothing is known is none that the code was found unfit for.
  const auto unknown = package::SelectAndLoad(elsewhere.Open().value(), Linux(), {}, {Tiny()});
  CHECK(unknown->loaded.empty());
  CHECK(unknown->decisions.front().verdict == Verdict::kNotApplicable);
  CHECK(unknown->decisions.front().reason == "not-applicable");
  const SmallPackage here;
  const auto without = package::SelectAndLoad(here.Open().value(), Linux(), {}, {});
  CHECK(without->decisions.front().reason == "no-driver");
}

TEST_CASE("loading and judging give the same decisions", "[package][select]") {
  for (const char* target : {"tiny", "tiny-nowhere"}) {
    const SmallPackage made(true, target);
    const Package package = made.Open().value();
    const HostProfile host = HostProfile::Detect();
    const auto loaded = package::SelectAndLoad(package, host, {}, {Tiny()});
    REQUIRE(loaded.has_value());
    const std::vector<Decision> judged = package.Decide(host, {}, std::nullopt);
    REQUIRE(judged.size() == loaded->decisions.size());
    REQUIRE(judged.size() == 1);
    CHECK(judged[0].context == loaded->decisions[0].context);
    CHECK(judged[0].verdict == loaded->decisions[0].verdict);
    CHECK(judged[0].outcome == loaded->decisions[0].outcome);
    CHECK(judged[0].reason == loaded->decisions[0].reason);
    CHECK(judged[0].detail == loaded->decisions[0].detail);
  }
}

TEST_CASE("a container of which only the manifest was fetched says what would run",
          "[package][select]") {
  const SmallPackage made;
  auto reader = container::Reader::Open(os::File::Open(made.report().container).value(), {});
  REQUIRE(reader.has_value());
  std::vector<container::Item> items;
  for (const container::Entry& entry : reader->index().entries) {
    container::Item& item = items.emplace_back();
    item.kind = entry.kind;
    item.digest = entry.digest;
    item.size = entry.size;
    item.source =
        container::FromBytes(std::make_shared<const std::string>(reader->Read(entry).value()));
    const bool kept =
        entry.kind == container::Kind::kManifest || entry.kind == container::Kind::kSignatures;
    item.storage = kept ? container::Storage::kRaw : container::Storage::kAbsent;
  }
  const std::string path = made.scratch() / "manifest-only.bctx";
  const auto writer = container::Writer::Make(std::move(items));
  REQUIRE(writer.has_value());
  REQUIRE(os::WriteFile(path, writer->ToBytes().value(), os::AtomicFile::kMustBeNew).ok());
  OpenOptions options;
  options.trusted_keys = {made.key().Public()};
  const Result<Package> package = Package::Open(path, options);
  REQUIRE(package.has_value());
  CHECK(package->Decide(Linux(), {}, std::nullopt)[0].outcome == Outcome::kAbsent);
  CHECK(package->Decide(Linux(), {}, std::nullopt)[0].verdict == Verdict::kOptimal);
  Policy fetched;
  fetched.assume_stored = true;
  CHECK(package->Decide(Linux(), fetched, std::nullopt)[0].outcome == Outcome::kChosen);
  HostProfile other;
  other.facts["os"] = "qnx";
  const Decision refused = package->Decide(other, fetched, std::nullopt)[0];
  CHECK(refused.outcome == Outcome::kRejected);
  CHECK(refused.detail == "os: the host has qnx, expected linux");
}

TEST_CASE("a context without proof is refused where proof is required", "[package][select]") {
  const SmallPackage made;
  Policy policy;
  policy.require_proof = true;
  const auto selection = package::SelectAndLoad(made.Open().value(), Linux(), policy, {Tiny()});
  CHECK(selection->loaded.empty());
  CHECK(selection->decisions.front().reason == "unproved");
}

TEST_CASE("a front that names another container or none is refused", "[package][hostile]") {
  const SmallPackage made;
  SECTION("missing container") {
    REQUIRE(os::RemoveFile(made.report().container).ok());
    CHECK(made.Open().status().code() == StatusCode::kIo);
  }
  SECTION("the container of another package under this name") {
    const SmallPackage other;  // another key: other signatures, another head
    const std::string bytes = os::ReadFile(other.report().container, 1 << 20).value();
    REQUIRE(os::WriteFile(made.report().container, bytes, os::AtomicFile::kReplace).ok());
    CHECK(made.Open().status().code() == StatusCode::kCorrupt);
  }
}

TEST_CASE("packing over a package removes the container that nobody names", "[authoring]") {
  SmallPackage made;
  const std::string old = made.report().container;
  made.options().force = true;
  made.options().sequence = 7;
  const PackReport report = made.Pack("package.onnx");
  CHECK(report.container != old);
  CHECK_FALSE(os::Exists(old));
  CHECK(os::Exists(report.container));
  CHECK(made.Open().value().manifest().sequence == 7);
}

TEST_CASE("output that is the input, exists or has no folder is refused and nothing is written",
          "[authoring]") {
  SmallPackage made;
  const plugin::Plugin tiny = Tiny();
  const std::string model = made.scratch() / "model.onnx";
  const auto pack = [&](const std::string& output) {
    return authoring::PackWith({tiny}, model, output, made.options()).status().code();
  };
  CHECK(pack(model) == StatusCode::kInvalidArgument);
  CHECK(pack(made.report().front) == StatusCode::kInvalidArgument);
  CHECK(pack(made.scratch() / "nowhere/x.onnx") == StatusCode::kIo);
  CHECK(pack(made.scratch() / "x.txt") == StatusCode::kInvalidArgument);
  CHECK(os::ListFolder(made.scratch().path().string()).value().size() == 3);
}

TEST_CASE(
    "a model in which nothing can be compiled packs without contexts, or not at all on request",
    "[authoring]") {
  SmallPackage made;
  WriteModel(R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y)
               { y = Relu (x) })",
             made.scratch() / "relu.onnx");
  const plugin::Plugin tiny = Tiny();
  const Result<PackReport> report = authoring::PackWith(
      {tiny}, made.scratch() / "relu.onnx", made.scratch() / "out.onnx", made.options());
  REQUIRE(report.has_value());
  CHECK(report->contexts.empty());
  made.options().require_context = true;
  CHECK(authoring::PackWith({tiny}, made.scratch() / "relu.onnx", made.scratch() / "out2.onnx",
                            made.options())
            .status()
            .code() == StatusCode::kIncompatible);
  CHECK_FALSE(os::Exists(made.scratch() / "out2.onnx"));
}

}  // namespace
}  // namespace backendctx::tests
