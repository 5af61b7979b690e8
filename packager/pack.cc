// bctx-pack pack: flags -> PackOptions, Pack, the report as text or JSON.

#include <backendctx/pack.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "packager/encoding.h"
#include "packager/making.h"
#include "packager/pack_report.h"
#include "packager/report_file.h"
#include "packager/verbs.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

constexpr uint64_t kMostSequence = (uint64_t{1} << 53) - 1;  // what JSON readers hold exactly

struct Flags {
  std::string model, output, report, compress = "none", encoding = "function", legalize = "auto";
  std::vector<std::string> backends;
  std::string targets = "all";
  KeyFlags key;
  bool json = false, explain = false;
  PackOptions options;
};

// NAME[,key=value]...
Result<BackendRequest> ParseBackend(const std::string& text) {
  const std::vector<std::string> parts = Split(text, ',');
  if (parts.empty()) return Status(StatusCode::kInvalidArgument, "--backend: found no name");
  BackendRequest request{.name = parts.front(), .options = {}};
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("--backend {}: found {}, expected key=value", parts.front(), parts[i]));
    }
    if (!request.options.emplace(parts[i].substr(0, equals), parts[i].substr(equals + 1)).second) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("--backend {}: found {} twice", parts.front(), parts[i].substr(0, equals)));
    }
  }
  return request;
}

Status CheckNew(const BackendRequest& request, const std::vector<BackendRequest>& before) {
  for (const BackendRequest& other : before) {
    if (other.name != request.name) continue;
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("--backend {0}: found twice, expected once with all its options: "
                              "--backend {0},key=value,key=value",
                              request.name));
  }
  return OkStatus();
}

Status FillOptions(Flags* flags) {
  PackOptions& options = flags->options;
  BCTX_ASSIGN_OR_RETURN(options.encoding, ParseEncoding("--encoding", flags->encoding));
  if (!flags->backends.empty()) options.backends.clear();
  for (const std::string& backend : flags->backends) {
    BCTX_ASSIGN_OR_RETURN(BackendRequest request, ParseBackend(backend));
    BCTX_RETURN_IF_ERROR(CheckNew(request, options.backends));
    options.backends.push_back(std::move(request));
  }
  options.legalize = flags->legalize == "auto";
  options.targets = Split(flags->targets, ',');
  if (options.targets.empty()) {
    return Status(StatusCode::kInvalidArgument, "--target: found no name");
  }
  BCTX_ASSIGN_OR_RETURN(options.compression, ParseCompression(flags->compress));
  if (options.embed && options.encoding != FrontEncoding::kFunction) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("--embed: found --encoding {}, only function can hold a container",
                              flags->encoding));
  }
  BCTX_RETURN_IF_ERROR(CheckPlugins(options.plugins));
  return FindProofTools(&options.proof);
}

// Backends expect a folder that is there.
Status MakeDumpFolder(const std::string& folder) {
  if (folder.empty()) return OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && !std::filesystem::is_directory(folder, error)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (!error && access(folder.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (!error) return OkStatus();
  return Status(StatusCode::kIo, fmt::format("--dump-ir {}: {}", folder, error.message()),
                {.file = folder});
}

Result<PackReport> RunPack(Flags* flags, std::string* signer) {
  BCTX_RETURN_IF_ERROR(FillOptions(flags));
  Progress progress;
  flags->options.progress = [&](const std::string& stage, uint64_t done, uint64_t total) {
    progress.Update(stage, done, total);
  };
  // A run that is going to fail or to write nothing makes no key.
  const bool is_readable = access(flags->model.c_str(), R_OK) == 0;
  if (is_readable) BCTX_RETURN_IF_ERROR(MakeDumpFolder(flags->options.dump_folder));
  const bool writes_nothing = flags->options.dry_run || !is_readable;
  BCTX_ASSIGN_OR_RETURN(const std::optional<SigningKey> key, ChooseKey(flags->key, writes_nothing));
  flags->options.key = key ? &*key : nullptr;
  if (key) *signer = key->Public().Id();
  return Pack(flags->model, flags->output, flags->options);
}

std::vector<std::string> FilesInUse(const Flags& flags) {
  std::vector<std::string> files = flags.options.plugins;
  files.insert(files.end(), {flags.model, flags.output, flags.key.file});
  if (const Result<std::string> config = ConfigFolder()) files.push_back(*config + "/key");
  return files;
}

int PackVerb(Flags* flags) {
  std::string signer;
  const Status usable =
      CheckReportFile(flags->report, FilesInUse(*flags), flags->output, flags->options.force);
  if (!usable.ok()) return Fail(usable);
  const Result<PackReport> report = RunPack(flags, &signer);
  if (!report) return Fail(report.error());
  const Json json = PackReportJson(*report, flags->model, signer, flags->options.dry_run);
  if (const Status written = WriteJson(json, flags->report); !written.ok()) return Fail(written);
  if (flags->json) {
    PrintJson(json);
  } else {
    Print(PackReportText(*report, flags->model, signer, flags->options.dry_run, flags->explain));
  }
  return 0;
}

}  // namespace

void AddPack(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("pack", "makes a package out of an ONNX model",
                             "bctx-pack pack model.onnx -o package.onnx --target host",
                             [flags] { return PackVerb(flags.get()); });
  PackOptions& options = flags->options;
  verb->add_option("MODEL", flags->model, "the ONNX model")->required()->type_name("");
  verb->add_option("-o,--output", flags->output, "the package to write")
      ->required()
      ->type_name("FILE");
  verb->add_option("--backend", flags->backends, "a backend and its options; again for more")
      ->allow_extra_args(false)
      ->type_name("NAME[,key=value]...");
  verb->add_option("--target", flags->targets, "host, all, or names with commas between (all)")
      ->type_name("LIST");
  verb->add_option("--encoding", flags->encoding,
                   "function, metadata or both: how the front carries the scopes (function)")
      ->type_name("NAME");
  verb->add_flag("--embed", options.embed, "one file: weights and container inside the front");
  verb->add_option("--compress", flags->compress,
                   "of code and tensors that no front maps: none or zstd[:LEVEL] (none)")
      ->type_name("HOW");
  AddKeyFlags(verb, &flags->key);
  verb->add_option("--name", options.name, "of the package (the model's file name)")
      ->type_name("NAME");
  verb->add_option("--sequence", options.sequence, "grows with each release of a name (0)")
      ->check(CLI::Range(uint64_t{0}, kMostSequence))
      ->type_name("N");
  verb->add_option("--plugin", options.plugins, "one more backend plug-in")
      ->allow_extra_args(false)
      ->type_name("FILE");
  verb->add_option("--ort", options.proof.ort_library,
                   "ONNX Runtime's library, for proofs; none: no proofs")
      ->type_name("FILE");
  verb->add_option("--dump-ir", options.dump_folder, "leave intermediate forms in this folder")
      ->type_name("DIR");
  verb->add_option(
          "--legalize", flags->legalize,
          "bodies that ONNX Runtime refuses: auto decomposes them, never leaves them (auto)")
      ->check(CLI::IsMember({"auto", "never"}))
      ->type_name("HOW");
  verb->add_flag("--dry-run", options.dry_run, "do everything but write");
  verb->add_flag("--explain", flags->explain,
                 "list every region that was taken, and each that was not");
  verb->add_flag("--require-context", options.require_context, "fail (6) when nothing is compiled");
  verb->add_flag("--force", options.force, "replace an existing output");
  verb->add_flag("--json", flags->json, "print the report as JSON");
  verb->add_option("--report", flags->report, "write the JSON report to this file as well")
      ->type_name("FILE");
}

}  // namespace backendctx::tools
