// bctx-inspect verify: every check with its outcome; integrity decides the exit code before trust.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "inspector/plain.h"
#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Flags {
  ReadFlags read;
  std::string require;
  VerifyOptions options;
};

// signed, proved, target=NAME; commas between.
Status ParseRequire(const std::string& text, VerifyOptions* options) {
  for (const std::string& word : Split(text, ',')) {
    if (word == "signed") {
      options->require_signed = true;
    } else if (word == "proved") {
      options->require_proved = true;
    } else if (word.rfind("target=", 0) == 0 && word.size() > 7) {
      options->require_targets.push_back(word.substr(7));
    } else {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("--require: found {}, expected signed, proved or target=NAME", word));
    }
  }
  return OkStatus();
}

// A plain model has nothing to check, and nothing that was required of it.
void JudgePlainModel(const VerifyOptions& options, VerifyReport* report) {
  const bool required =
      options.require_signed || options.require_proved || !options.require_targets.empty();
  if (!required || !report->first_error.ok()) return;
  const StatusCode code =
      options.require_signed ? StatusCode::kUntrusted : StatusCode::kIncompatible;
  report->first_error =
      Status(code, "found a plain ONNX model, expected a package",
             {.field = "package", .found = "a plain ONNX model", .expected = "a package"});
  report->checks.push_back({"required", report->first_error.message(), false});
}

VerifyReport Check(const Flags& flags) {
  VerifyReport report;
  Result<Package> package = OpenPackage(flags.read);
  if (!package) {
    report.first_error = package.error();
    report.checks.push_back({"open", package.error().message(), false});
    return report;
  }
  Progress progress;
  VerifyOptions options = flags.options;
  options.progress = [&](uint64_t done, uint64_t total) {
    progress.Update("verifying", done, total);
  };
  report = package->Verify(options);
  if (package->has_container()) return report;
  const Result<ModelReferences> references = ReferencesOf(*package);
  if (!references) {
    report.first_error = references.error();
    report.checks.push_back({"references", references.error().message(), false});
    return report;
  }
  if (!references->ep_contexts.empty()) {
    report.checks = {
        {"package", "an EPContext model: its code has no digest, nothing vouches for it", true}};
  }
  CheckReferences(*references, &report);
  JudgePlainModel(options, &report);
  return report;
}

Json ReportJson(const VerifyReport& report) {
  Json json = NewReport();
  json["ok"] = report.first_error.ok();
  json["checks"] = Json::array();
  for (const CheckResult& check : report.checks) {
    json["checks"].push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  }
  json["first_error"] = StatusJson(report.first_error);
  return json;
}

std::string ReportText(const VerifyReport& report) {
  size_t width = 4;
  for (const CheckResult& check : report.checks) width = std::max(width, check.name.size());
  std::string text;
  for (const CheckResult& check : report.checks) {
    const size_t indent = 8 + width;
    const std::string detail = Wrap(Escape(check.detail), indent);
    const std::string mark = check.ok ? Paint(Style::kGood, "ok  ") : Paint(Style::kBad, "FAIL");
    text += fmt::format("{}  {:<{}}  {}", mark, Escape(check.name), width,
                        detail.size() > indent ? detail.substr(indent) : "\n");
  }
  return text;
}

int VerifyVerb(Flags* flags) {
  if (const Status parsed = ParseRequire(flags->require, &flags->options); !parsed.ok()) {
    return Fail(parsed);
  }
  const VerifyReport report = Check(*flags);
  if (flags->read.json) {
    PrintJson(ReportJson(report));
  } else {
    Print(ReportText(report));
  }
  return report.first_error.ok() ? 0 : Fail(report.first_error);
}

}  // namespace

void AddVerify(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("verify", "digests, structure, the front, signatures",
                             "bctx-inspect verify package.onnx --require signed,target=x86-64-v3",
                             [flags] { return VerifyVerb(flags.get()); });
  AddReadFlags(verb, &flags->read);
  verb->add_option("--require", flags->require, "signed, proved, target=NAME; commas between")
      ->type_name("LIST");
  verb->add_flag("--allow-unsigned", flags->options.allow_unsigned, "who signed does not matter");
  verb->add_flag("--quick", flags->options.quick, "manifest, front and signatures only");
}

}  // namespace backendctx::tools
