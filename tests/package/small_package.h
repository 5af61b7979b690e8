// A signed package of a few KiB, made anew for a test: one Attention node, one projection whose
// weight lies in the container, one compiled context of the tiny backend.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "authoring/pack.h"
#include "backendctx/package.h"
#include "base/os/file.h"
#include "onnx/defs/parser.h"
#include "support/scratch.h"
#include "support/tiny_backend.h"

namespace backendctx::tests {

inline constexpr char kSmallModel[] = R"(
  <ir_version: 9, opset_import: ["" : 23]>
  small (float[B, 2, S, 8] x) => (float[B, 2, S, 8] y)
  <float[8, 8] w = {
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
     1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}>
  {
    q = MatMul (x, w)
    y = Attention (q, x, x)
  })";

inline plugin::Plugin Tiny() { return plugin::Plugin::FromTable(TinyBackend()).value(); }

inline void WriteModel(const std::string& text, const std::string& path) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text.c_str());
  INFO(status.ErrorMessage());
  REQUIRE(status.IsOK());
  REQUIRE(os::WriteFile(path, model.SerializeAsString(), os::AtomicFile::kReplace).ok());
}

class SmallPackage {
 public:
  explicit SmallPackage(bool signed_by_us = true, const std::string& target = "tiny",
                        const PackOptions& options = {}, const char* model = kSmallModel)
      : key_(SigningKey::Generate().value()), options_(options) {
    WriteModel(model, scratch_ / "model.onnx");
    options_.backends = {{"tiny", {}}};
    options_.targets = {target};
    options_.key = signed_by_us ? &key_ : nullptr;
    report_ = Pack("package.onnx");
  }

  PackReport Pack(const std::string& name) {
    Result<PackReport> report =
        authoring::PackWith({Tiny()}, scratch_ / "model.onnx", scratch_ / name, options_);
    INFO((report ? std::string() : report.error().message()));
    REQUIRE(report.has_value());
    return std::move(report).value();
  }

  Result<Package> Open() const { return Open({key_.Public()}); }
  Result<Package> Open(const std::vector<PublicKey>& keys) const {
    OpenOptions options;
    options.trusted_keys = keys;
    return Package::Open(report_.front, options);
  }
  // Ok only when the package opens and every check of a full verify holds.
  Status OpenAndVerify() const {
    Result<Package> package = Open();
    return package ? package->Verify({}).first_error : package.status();
  }

  const test::Scratch& scratch() const { return scratch_; }
  const PackReport& report() const { return report_; }
  const SigningKey& key() const { return key_; }
  PackOptions& options() { return options_; }

 private:
  test::Scratch scratch_;
  SigningKey key_;
  PackOptions options_;
  PackReport report_;
};

}  // namespace backendctx::tests
