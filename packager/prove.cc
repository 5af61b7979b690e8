// bctx-pack prove: the proofs of a package that this machine can run.

#include <backendctx/change.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "packager/making.h"
#include "packager/verbs.h"
#include "tools_common/json.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

struct Flags {
  std::string package, output;
  KeyFlags key;
  ChangeOptions options;
  bool json = false;
};

Result<ProveReport> RunProve(Flags* flags, std::string* signer) {
  ChangeOptions& options = flags->options;
  BCTX_ASSIGN_OR_RETURN(options.open.trusted_keys, TrustedKeys({}));
  BCTX_RETURN_IF_ERROR(CheckPlugins(options.plugins));
  BCTX_RETURN_IF_ERROR(FindProofTools(&options.proof));
  BCTX_ASSIGN_OR_RETURN(const std::optional<SigningKey> key,
                        ChooseKey(flags->key, !MayChange({flags->package}, options.open, false)));
  options.key = key ? &*key : nullptr;
  if (key) *signer = key->Public().Id();
  Progress progress;
  options.progress = [&](const std::string& stage, uint64_t done, uint64_t total) {
    progress.Update(stage, done, total);
  };
  return Prove(flags->package, flags->output, options);
}

Json ReportJson(const ProveReport& report, const Flags& flags, const std::string& signer) {
  Json json = NewReport();
  json["package"] = flags.package;
  AddWritten(report.written, signer, &json);
  json["proofs"] = Json::array();
  for (const ProofChange& proof : report.proofs) {
    json["proofs"].push_back({{"context", proof.context},
                              {"target", proof.target},
                              {"before", proof.before ? "passed" : "not-run"},
                              {"after", proof.after ? "passed" : "not-run"},
                              {"reason", proof.reason},
                              {"largest_error", proof.largest_error}});
  }
  json["dropped"] = report.dropped;
  return json;
}

std::string ReportText(const ProveReport& report, const Flags& flags, const std::string& signer) {
  uint64_t passed = 0, stayed = 0;
  double largest = 0;
  std::map<std::string, std::set<std::string>> reasons;  // reason -> targets
  for (const ProofChange& proof : report.proofs) {
    if (proof.after && !proof.before) ++passed;
    if (proof.after && proof.before) ++stayed;
    if (!proof.after) reasons[proof.reason].insert(proof.target);
    largest = std::max(largest, proof.largest_error);
  }
  std::string text = fmt::format("{} -> {}\n", Escape(flags.package),
                                 Paint(Style::kBold, Escape(report.written.front)));
  const auto line = [&](const std::string& label, const std::string& words) {
    text += fmt::format("  {:<12}{}", label, Wrap(words, 14).substr(14));
  };
  line("proved", fmt::format("{} here, largest error {:.1e} of scale; {} before",
                             Plural(passed, "context"), largest, stayed));
  for (const auto& [reason, targets] : reasons) {
    line("unproved", fmt::format("{}: {}", Escape(fmt::format("{}", fmt::join(targets, ", "))),
                                 Escape(reason)));
  }
  for (const std::string& dropped : report.dropped) line("dropped", Escape(dropped));
  line("signed", SignedWords(signer));
  return text;
}

int ProveVerb(Flags* flags) {
  std::string signer;
  const Result<ProveReport> report = RunProve(flags, &signer);
  if (!report) return Fail(report.error());
  if (flags->json) {
    PrintJson(ReportJson(*report, *flags, signer));
  } else {
    Print(ReportText(*report, *flags, signer));
  }
  return 0;
}

}  // namespace

void AddProve(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("prove", "runs the proofs of contexts that this machine can run",
                             "bctx-pack prove package.onnx -o proved.onnx",
                             [flags] { return ProveVerb(flags.get()); });
  ChangeOptions& options = flags->options;
  verb->add_option("PKG", flags->package, "the package: signed by a key that you trust")
      ->required()
      ->type_name("");
  verb->add_flag("--again", options.prove_again, "contexts that passed elsewhere, too");
  AddKeyFlags(verb, &flags->key);
  verb->add_option("--plugin", options.plugins, "one more backend plug-in")
      ->allow_extra_args(false)
      ->type_name("FILE");
  verb->add_option("--ort", options.proof.ort_library, "ONNX Runtime's library")->type_name("FILE");
  AddChangeFlags(verb, &flags->output, &options.force, &flags->json);
}

}  // namespace backendctx::tools
