// bctx-pack encode: the fronts of a package, written anew.

#include <backendctx/encode.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "packager/encoding.h"
#include "packager/verbs.h"
#include "tools_common/json.h"
#include "tools_common/terminal.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

struct Flags {
  std::string package, output, to, prefer, compress;
  bool json = false;
  EncodeOptions options;
};

// What is written follows from the contents: edits of the front that was given are not in it.
void WarnOfEdits(const Package& package) {
  for (const Binding& binding : package.bindings()) {
    if (binding.stale.empty()) continue;
    Warn(fmt::format("{}: the front was edited ({}: {}); the new one is made from the contents",
                     Escape(package.front_path()), Escape(binding.partition),
                     Escape(binding.stale)));
    return;
  }
}

Result<EncodeReport> RunEncode(Flags* flags) {
  BCTX_ASSIGN_OR_RETURN(flags->options.encoding, ParseEncoding("--to", flags->to));
  if (flags->options.embed && flags->options.encoding != FrontEncoding::kFunction) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("--embed: found --to {}, only function can hold a container", flags->to));
  }
  if (!flags->compress.empty()) {
    BCTX_ASSIGN_OR_RETURN(flags->options.compression, ParseCompression(flags->compress));
  }
  flags->options.prefer = Split(flags->prefer, ',');
  OpenOptions open;
  BCTX_ASSIGN_OR_RETURN(open.trusted_keys, TrustedKeys({}));
  BCTX_ASSIGN_OR_RETURN(const Package package, Package::Open(flags->package, open));
  if (!package.trust().trusted && package.has_container()) Warn(Escape(package.trust().reason));
  BCTX_ASSIGN_OR_RETURN(EncodeReport report, Encode(package, flags->output, flags->options));
  WarnOfEdits(package);
  return report;
}

int EncodeVerb(Flags* flags) {
  const Result<EncodeReport> report = RunEncode(flags);
  if (!report) return Fail(report.error());
  if (flags->json) {
    Json json = NewReport();
    json["package"] = flags->package;
    json["encoding"] = flags->to;
    json["fronts"] = report->fronts;
    json["container"] = report->container.empty() ? Json() : Json(report->container);
    json["sizes"] = {{"front_bytes", report->front_bytes},
                     {"container_bytes", report->container_bytes}};
    json["left_out"] = Json::array();
    for (const LeftOut& left_out : report->left_out) {
      json["left_out"].push_back({{"partition", left_out.partition}, {"reason", left_out.reason}});
    }
    PrintJson(json);
    return 0;
  }
  for (const std::string& front : report->fronts) {
    Note(fmt::format("{}: encoded from {}", Escape(front), Escape(flags->package)));
  }
  for (const LeftOut& left_out : report->left_out) {
    Note(fmt::format("partition {} is no function, {}", Escape(left_out.partition),
                     Escape(left_out.reason)));
  }
  return 0;
}

}  // namespace

Result<FrontEncoding> ParseEncoding(const std::string& flag, const std::string& text) {
  if (text == "function") return FrontEncoding::kFunction;
  if (text == "metadata") return FrontEncoding::kMetadata;
  if (text == "both") return FrontEncoding::kBoth;
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: found {}, expected function, metadata or both", flag, text));
}

Result<Compression> ParseCompression(const std::string& text) {
  Compression compression;
  if (text == "none") return compression;
  compression.zstd = true;
  if (text == "zstd") return compression;
  char* end = nullptr;
  const std::string level = text.rfind("zstd:", 0) == 0 ? text.substr(5) : "";
  compression.level = static_cast<int>(std::strtol(level.c_str(), &end, 10));
  if (!level.empty() && *end == '\0' && compression.level >= 1 && compression.level <= 19) {
    return compression;
  }
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("--compress: found {}, expected none, zstd or zstd:1 to zstd:19", text));
}

void AddEncode(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("encode", "writes the fronts of a package anew",
                             "bctx-pack encode package.onnx -o flat.onnx --to metadata",
                             [flags] { return EncodeVerb(flags.get()); });
  verb->add_option("PKG", flags->package, "the package")->required()->type_name("");
  verb->add_option("-o,--output", flags->output, "the package to write")
      ->required()
      ->type_name("FILE");
  verb->add_option("--to", flags->to, "function, metadata or both")->required()->type_name("NAME");
  verb->add_flag("--embed", flags->options.embed,
                 "one file: weights and container inside the front");
  verb->add_option("--compress", flags->compress,
                   "of code and tensors that no front maps: none or zstd[:LEVEL] (as it is)")
      ->type_name("HOW");
  verb->add_option("--prefer", flags->prefer,
                   "scopes whose partitions become functions first, where some overlap")
      ->type_name("SCOPE,...");
  verb->add_option("--variant", flags->options.variant, "which model, where there are several")
      ->type_name("NAME");
  verb->add_flag("--force", flags->options.force, "replace an existing output");
  verb->add_flag("--json", flags->json, "print the report as JSON");
}

}  // namespace backendctx::tools
