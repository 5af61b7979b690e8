// bctx-inspect run: a package in ONNX Runtime, through the provider, in a process of its own.

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "inspector/reading.h"
#include "inspector/run_report.h"
#include "inspector/verbs.h"
#include "tools_common/child.h"
#include "tools_common/installation.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Flags {
  ReadFlags read;
  std::string inputs, runtime;
  std::vector<std::string> dims, options;
  bool compare = false, profile_time = false;
  int runs = 10, threads = 0;
  uint32_t seed = 1;
  std::optional<double> tolerance;
};

Result<std::pair<std::string, std::string>> Pair(const std::string& flag, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos && equals != 0) {
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: found {}, expected NAME=VALUE", flag, text));
}

Result<Json> Dims(const std::vector<std::string>& texts) {
  Json dims = Json::object();
  for (const std::string& text : texts) {
    BCTX_ASSIGN_OR_RETURN(const auto pair, Pair("--dim", text));
    char* end = nullptr;
    const long size = std::strtol(pair.second.c_str(), &end, 10);
    if (pair.second.empty() || *end != '\0' || size < 0 || size > (1l << 31)) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("--dim {}: found {}, expected a size", pair.first, pair.second));
    }
    dims[pair.first] = size;
  }
  return dims;
}

Result<std::string> Provider(const Package& package) {
  if (!package.has_container()) return std::string();
  const std::string path = LibraryFolder() + "/libbackendctx_ort.so";
  if (std::filesystem::exists(path)) return path;
  return Status(StatusCode::kIo, fmt::format("{}: the provider is not there", path),
                {.file = path});
}

Result<Json> MakeRequest(const Flags& flags, const Package& package, const std::string& report) {
  Json request;
  request["model"] = flags.read.package;
  request["runtime"] = flags.runtime.empty() ? FindRuntimeLibrary() : flags.runtime;
  if (request["runtime"].get<std::string>().empty()) {
    return Status(StatusCode::kIo,
                  "found no ONNX Runtime library beside libbackendctx.so; give --ort FILE");
  }
  BCTX_ASSIGN_OR_RETURN(request["provider"], Provider(package));
  request["options"] = {{"report", report}};
  if (!flags.read.trusted_keys.empty()) {
    request["options"]["trusted_keys"] = Join(flags.read.trusted_keys, ",");
  }
  for (const std::string& option : flags.options) {
    BCTX_ASSIGN_OR_RETURN(const auto pair, Pair("--option", option));
    request["options"][pair.first] = pair.second;
  }
  request["inputs"] = flags.inputs;
  BCTX_ASSIGN_OR_RETURN(request["dims"], Dims(flags.dims));
  request["compare"] = flags.compare || flags.tolerance.has_value();
  request["runs"] = flags.profile_time ? flags.runs : 0;
  request["threads"] = flags.threads;
  request["seed"] = flags.seed;
  return request;
}

Result<Json> ReadJson(const std::string& path) {
  std::ifstream file(path);
  Json json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (file.is_open() && json.is_object()) return json;
  return Status(StatusCode::kInternal, fmt::format("{}: found no JSON object", path));
}

Status ToStatus(const Json& error) {
  Detail detail;
  detail.file = error["file"].get<std::string>();
  detail.field = error["field"].get<std::string>();
  detail.found = error["found"].get<std::string>();
  detail.expected = error["expected"].get<std::string>();
  return Status(static_cast<StatusCode>(error["code"].get<int>()),
                error["message"].get<std::string>(), detail);
}

Result<Json> Answer(const Json& request, const std::string& folder) {
  const std::string from = folder + "/request", to = folder + "/response";
  BCTX_RETURN_IF_ERROR(WriteJson(request, from));
  BCTX_ASSIGN_OR_RETURN(const int code, RunChild({ProgramFolder() + "/bctx-run-model", from, to}));
  if (code > 128) {
    return Status(StatusCode::kInternal,
                  fmt::format("{}: the process that ran it was ended by signal {}",
                              request["model"].get<std::string>(), code - 128));
  }
  if (code != 0) {
    return Status(StatusCode::kInternal, fmt::format("bctx-run-model ended with code {}", code));
  }
  BCTX_ASSIGN_OR_RETURN(Json answer, ReadJson(to));
  if (answer.contains("error")) return ToStatus(answer["error"]);
  return answer;
}

Result<Json> Run(const Flags& flags) {
  BCTX_ASSIGN_OR_RETURN(const Package package, OpenPackage(flags.read));
  if (package.front_path().empty()) {
    return Status(StatusCode::kMalformed,
                  fmt::format("{}: found a bare container, expected a front: a runtime starts with "
                              "the .onnx file",
                              flags.read.package),
                  {.file = flags.read.package,
                   .field = "front",
                   .found = "a bare container",
                   .expected = "a front"});
  }
  BCTX_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::Make());
  const std::string report = folder.path() + "/report";
  BCTX_ASSIGN_OR_RETURN(const Json request, MakeRequest(flags, package, report));
  BCTX_ASSIGN_OR_RETURN(Json answer, Answer(request, folder.path()));
  Json seen;
  if (package.has_container()) {
    BCTX_ASSIGN_OR_RETURN(seen, ReadJson(report));
  }
  return RunReportJson(flags.read.package, std::move(answer), std::move(seen));
}

int RunVerb(const Flags& flags) {
  constexpr int kDiffers = 8;
  const Result<Json> json = Run(flags);
  if (!json) return Fail(json.error());
  if (flags.read.json) {
    PrintJson(*json);
  } else {
    Print(RunReportText(*json));
  }
  return flags.tolerance && !(LargestDifference(*json) <= *flags.tolerance) ? kDiffers : 0;
}

}  // namespace

void AddRun(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("run", "runs a package in ONNX Runtime, compiled where it fits",
                             "bctx-inspect run package.onnx --compare --profile-time",
                             [flags] { return RunVerb(*flags); });
  AddReadFlags(verb, &flags->read);
  verb->add_option("--inputs", flags->inputs, "arrays by name; what is not there is drawn")
      ->type_name("F.npz");
  verb->add_option("--dim", flags->dims, "size of a named dimension of drawn inputs")
      ->allow_extra_args(false)
      ->type_name("NAME=N");
  verb->add_option("--seed", flags->seed, "of drawn inputs (1)")->type_name("N");
  verb->add_flag("--compare", flags->compare, "run it interpreted too, and compare");
  verb->add_option("--tolerance", flags->tolerance,
                   "compare, and exit 8 when more of an output's scale differs")
      ->check(CLI::NonNegativeNumber)
      ->type_name("X");
  verb->add_flag("--profile-time", flags->profile_time, "measure, each side in turn");
  verb->add_option("--runs", flags->runs, "how often, after a first one (10)")
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
  verb->add_option("--threads", flags->threads, "of one operator (as the runtime chooses)")
      ->check(CLI::Range(0, 4096))
      ->type_name("N");
  verb->add_option("--option", flags->options, "of the provider, as docs/running.md lists them")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  verb->add_option("--ort", flags->runtime, "ONNX Runtime's library")->type_name("FILE");
}

}  // namespace backendctx::tools
