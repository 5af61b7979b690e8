// bctx-pack merge: packages of one graph, their contexts united.

#include <backendctx/change.h>
#include <fmt/format.h>

#include <memory>

#include "packager/making.h"
#include "packager/verbs.h"
#include "tools_common/json.h"
#include "tools_common/text.h"
#include "tools_common/user_files.h"

namespace backendctx::tools {
namespace {

struct Flags {
  std::vector<std::string> packages;
  std::string output;
  KeyFlags key;
  ChangeOptions options;
  bool json = false;
};

Result<MergeReport> RunMerge(Flags* flags, std::string* signer) {
  BCTX_ASSIGN_OR_RETURN(flags->options.open.trusted_keys, TrustedKeys({}));
  const bool may = MayChange(flags->packages, flags->options.open, flags->options.allow_unsigned);
  BCTX_ASSIGN_OR_RETURN(const std::optional<SigningKey> key, ChooseKey(flags->key, !may));
  flags->options.key = key ? &*key : nullptr;
  if (key) *signer = key->Public().Id();
  return Merge(flags->packages, flags->output, flags->options);
}

Json ReportJson(const MergeReport& report, const Flags& flags, const std::string& signer) {
  Json json = NewReport();
  json["packages"] = flags.packages;
  AddWritten(report.written, signer, &json);
  json["added"] = Json::array();
  for (const MergedContext& added : report.added) {
    json["added"].push_back(
        {{"context", added.context}, {"from", added.from}, {"replaces", added.replaces}});
  }
  json["left_out"] = report.left_out;
  return json;
}

std::string ReportText(const MergeReport& report, const Flags& flags, const std::string& signer) {
  std::string text = fmt::format("{} -> {}\n", Escape(Join(flags.packages, ", ")),
                                 Paint(Style::kBold, Escape(report.written.front)));
  Table table({Align::kLeft, Align::kLeft, Align::kLeft});
  for (const MergedContext& added : report.added) {
    table.Row({added.replaces.empty() ? "added" : added.replaces, Escape(added.context),
               Escape(added.from)});
  }
  text += table.empty() ? "  added       nothing: the first package has it all\n" : table.Text(2);
  for (const std::string& left_out : report.left_out) {
    text += "  left out\n" + Wrap(Escape(left_out), 14);
  }
  return text + "  signed      " + SignedWords(signer) + "\n";
}

int MergeVerb(Flags* flags) {
  std::string signer;
  const Result<MergeReport> report = RunMerge(flags, &signer);
  if (!report) return Fail(report.error());
  if (flags->json) {
    PrintJson(ReportJson(*report, *flags, signer));
  } else {
    Print(ReportText(*report, *flags, signer));
  }
  return 0;
}

}  // namespace

void AddMerge(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = line.Verb("merge", "unites the contexts of packages of one graph",
                             "bctx-pack merge x86.onnx arm.onnx -o all.onnx",
                             [flags] { return MergeVerb(flags.get()); });
  verb->add_option("PKG", flags->packages, "two packages or more, each signed by a trusted key")
      ->required()
      ->type_name("...");
  AddKeyFlags(verb, &flags->key);
  verb->add_flag("--allow-unsigned", flags->options.allow_unsigned,
                 "take packages that nobody signed");
  AddChangeFlags(verb, &flags->output, &flags->options.force, &flags->json);
}

}  // namespace backendctx::tools
