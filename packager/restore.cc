// bctx-pack restore: the model that was packed.

#include <backendctx/package.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "packager/verbs.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

struct Flags {
  std::string package, output, variant;
  bool force = false;
};

// As pack names what it writes: what is read as a model is called one.
Status CheckName(const std::string& output) {
  const std::string name = std::filesystem::path(output).filename();
  if (name.ends_with(".onnx") && name != ".onnx") return OkStatus();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("output '{}' must be named NAME.onnx", output));
}

Status Restore(const Flags& flags) {
  BCTX_RETURN_IF_ERROR(CheckName(flags.output));
  OpenOptions options;
  BCTX_ASSIGN_OR_RETURN(options.trusted_keys, TrustedKeys({}));
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(flags.package, options));
  if (!package.has_container()) {
    return Status(StatusCode::kMalformed,
                  fmt::format("{}: found a plain ONNX model, expected a package", flags.package),
                  {.file = flags.package,
                   .field = "package",
                   .found = "a plain ONNX model",
                   .expected = "a package"});
  }
  if (!package.trust().trusted) Warn(Escape(package.trust().reason));
  return package.Restore(flags.output, flags.variant, flags.force);
}

int RestoreVerb(const Flags& flags) {
  const Status status = Restore(flags);
  if (!status.ok()) return Fail(status);
  Note(fmt::format("{}: restored from {}", Escape(flags.output), Escape(flags.package)));
  return 0;
}

}  // namespace

void AddRestore(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("restore", "writes the model that was packed",
                             "bctx-pack restore package.onnx -o model.onnx",
                             [flags] { return RestoreVerb(*flags); });
  verb->add_option("PKG", flags->package, "the package")->required()->type_name("");
  verb->add_option("-o,--output", flags->output, "the model to write")
      ->required()
      ->type_name("FILE");
  verb->add_option("--variant", flags->variant, "which model, where there are several")
      ->type_name("NAME");
  verb->add_flag("--force", flags->force, "replace an existing output");
}

}  // namespace backendctx::tools
