// bctx-inspect ops: the operators of a model, what they are for, who compiles them and why not.

#include <backendctx/operators.h>
#include <fmt/format.h>

#include <map>
#include <memory>

#include "inspector/operator_table.h"
#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Flags {
  ReadFlags read;
  std::string variant;
};

struct Totals {
  uint64_t nodes = 0, compiled = 0;
  std::map<std::string, uint64_t> levels{{"P1", 0}, {"P2", 0}, {"function", 0}, {"unlisted", 0}};
};

OperatorLevel LevelOfUse(const OperatorUse& use) {
  if (use.is_function) return {"function", "a function of the model's own"};
  return LevelOf(use.domain, use.op_type);
}

Totals Sum(const OperatorList& list) {
  Totals totals;
  for (const OperatorUse& use : list.operators) {
    totals.nodes += use.nodes;
    totals.compiled += use.compiled;
    totals.levels[LevelOfUse(use).level] += use.nodes;
  }
  return totals;
}

Json ToJson(const OperatorUse& use) {
  const OperatorLevel level = LevelOfUse(use);
  Json compilers = Json::array(), reasons = Json::array();
  for (const OperatorCompiler& compiler : use.compilers) {
    compilers.push_back(
        {{"backend", compiler.backend}, {"target", compiler.target}, {"nodes", compiler.nodes}});
  }
  for (const OperatorReason& reason : use.reasons) {
    reasons.push_back({{"reason", reason.reason}, {"nodes", reason.nodes}});
  }
  return {{"domain", use.domain},   {"operator", use.op_type}, {"level", level.level},
          {"why", level.why},       {"nodes", use.nodes},      {"compiled", use.compiled},
          {"compilers", compilers}, {"not_compiled", reasons}};
}

Json ListJson(const OperatorList& list, const std::string& file) {
  const Totals totals = Sum(list);
  Json json = NewReport();
  json["file"] = file;
  json["variant"] = list.variant.empty() ? Json() : Json(list.variant);
  json["nodes"] = totals.nodes;
  json["compiled"] = totals.compiled;
  json["levels"] = totals.levels;
  json["operators"] = Json::array();
  for (const OperatorUse& use : list.operators) json["operators"].push_back(ToJson(use));
  return json;
}

std::string NameOf(const OperatorUse& use) {
  return Escape(use.domain.empty() ? use.op_type : use.domain + "." + use.op_type);
}

// "cpu-attention aarch64, x86-64-v3": targets behind their backend.
std::string Compilers(const OperatorUse& use) {
  std::string text, backend;
  for (const OperatorCompiler& compiler : use.compilers) {
    text += text.empty() ? "" : ", ";
    if (compiler.backend != backend) text += Escape(compiler.backend) + " ";
    backend = compiler.backend;
    text += Escape(compiler.target);
  }
  return text;
}

std::string OperatorsText(const OperatorList& list) {
  Table table({Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kLeft});
  table.Row({"operator", "level", "nodes", "compiled", "by"});
  for (const OperatorUse& use : list.operators) {
    table.Row({NameOf(use), LevelOfUse(use).level, fmt::format("{}", use.nodes),
               fmt::format("{}", use.compiled), Compilers(use)});
  }
  return table.Text(2);
}

// Operators with the same reason are told together.
std::string ReasonsText(const OperatorList& list) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> operators;
  for (const OperatorUse& use : list.operators) {
    for (const OperatorReason& reason : use.reasons) {
      std::vector<std::string>& names = operators[reason.reason];
      if (names.empty()) order.push_back(reason.reason);
      names.push_back(fmt::format("{} {}", reason.nodes, NameOf(use)));
    }
  }
  std::string text = order.empty() ? "" : "not compiled\n";
  for (const std::string& reason : order) {
    text += Wrap(Escape(reason), 2) + Wrap(Join(operators[reason], ", "), 6);
  }
  return text;
}

std::string ListText(const OperatorList& list, const std::string& file) {
  const Totals totals = Sum(list);
  std::string text =
      Wrap(fmt::format("{}  {}, {} compiled; {} as exported from models (P1), {} of pipelines (P2)",
                       Escape(file), Plural(totals.nodes, "node"), totals.compiled,
                       totals.levels.at("P1"), totals.levels.at("P2")),
           0);
  if (list.operators.empty()) return text;
  return text + OperatorsText(list) + ReasonsText(list);
}

int OpsVerb(const Flags& flags) {
  const Result<Package> package = OpenPackage(flags.read);
  if (!package) return Fail(package.error());
  const Result<OperatorList> list = ListOperators(*package, flags.variant);
  if (!list) return Fail(list.error());
  const std::string& file =
      package->front_path().empty() ? package->container_path() : package->front_path();
  if (flags.read.json) {
    PrintJson(ListJson(*list, file));
  } else {
    Print(ListText(*list, file));
  }
  return 0;
}

}  // namespace

void AddOps(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb =
      line.Verb("ops", "the operators, what they are for, who compiles them and why not",
                "bctx-inspect ops package.onnx", [flags] { return OpsVerb(*flags); });
  AddReadFlags(verb, &flags->read);
  verb->add_option("--variant", flags->variant, "of the package; the front's when not given")
      ->type_name("NAME");
}

}  // namespace backendctx::tools
