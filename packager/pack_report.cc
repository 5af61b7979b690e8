#include "packager/pack_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "packager/making.h"
#include "tools_common/terminal.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

std::string Line(const std::string& label, const std::string& text) {
  std::string wrapped = Wrap(text, 14);
  return "  " + Paint(Style::kDim, fmt::format("{:<12}", label)) +
         (wrapped.size() > 14 ? wrapped.substr(14) : "\n");
}

double CompileSeconds(const PackReport& report) {
  double seconds = 0;
  for (const CompiledContext& context : report.contexts) seconds += context.compile_seconds;
  return seconds;
}

bool IsAttention(const TakenRegion& region) { return !region.attention.empty(); }

// "6 dynamo, 1 attention-23"
std::string Forms(const PackReport& report) {
  std::map<std::string, uint64_t> forms;
  for (const TakenRegion& region : report.taken) {
    if (IsAttention(region)) ++forms[region.form];
  }
  std::vector<std::string> parts;
  for (const auto& [form, count] : forms)
    parts.push_back(fmt::format("{} {}", count, Escape(form)));
  return Join(parts, ", ");
}

// What backends offered to take: one line for each.
std::string OfferLines(const PackReport& report) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> offers;  // partitions and nodes
  for (const TakenRegion& region : report.taken) {
    for (const std::string& backend : region.backends) {
      if (IsAttention(region)) continue;
      ++offers[backend].first;
      offers[backend].second += region.nodes;
    }
  }
  std::string text;
  for (const auto& [backend, counts] : offers) {
    text += Line("taken",
                 fmt::format("{}: {} of {}", Escape(backend), Plural(counts.first, "partition"),
                             Plural(counts.second, "node")));
  }
  return text;
}

std::string FoundLines(const PackReport& report) {
  const auto attention =
      static_cast<uint64_t>(std::count_if(report.taken.begin(), report.taken.end(), IsAttention));
  const std::string offers = OfferLines(report);
  if (attention == 0 && !offers.empty()) return offers;
  return Line("found", fmt::format("{} ({}), {} distinct", Plural(attention, "attention subgraph"),
                                   Forms(report), report.distinct_partitions)) +
         offers;
}

std::string Targets(const PackReport& report) {
  std::map<std::string, uint64_t> targets;
  for (const CompiledContext& context : report.contexts) ++targets[context.target];
  std::vector<std::string> parts;
  for (const auto& [target, count] : targets) parts.push_back(fmt::format("{} {}", target, count));
  return Join(parts, ", ");
}

std::string ProofLines(const PackReport& report) {
  uint64_t passed = 0;
  double largest = 0;
  std::map<std::string, std::set<std::string>> reasons;  // reason -> targets
  for (const CompiledContext& context : report.contexts) {
    if (context.proof.passed) {
      ++passed;
      largest = std::max(largest, context.largest_error);
    } else {
      reasons[context.proof.reason].insert(context.target);
    }
  }
  std::string text;
  if (passed > 0) {
    text +=
        Line("proved", fmt::format("{} by running beside the body, largest error {:.1e} of scale",
                                   Plural(passed, "context"), largest));
  }
  for (const auto& [reason, targets] : reasons) {
    text += Line("unproved", fmt::format("{}: {}", fmt::join(targets, ", "), Escape(reason)));
  }
  return text;
}

// What backends say of their code, each sentence once.
std::string NoteLines(const PackReport& report) {
  std::map<std::string, uint64_t> notes;
  for (const CompiledContext& context : report.contexts) {
    if (!context.note.empty()) ++notes[context.backend + ": " + context.note];
  }
  std::string text;
  for (const auto& [note, count] : notes) {
    text += Line("note", fmt::format("{} ({})", Escape(note), Plural(count, "context")));
  }
  return text;
}

std::string TakenList(const PackReport& report) {
  std::string text;
  for (const TakenRegion& region : report.taken) {
    const std::string where = region.graph_path.empty() ? "" : " in " + region.graph_path;
    text += fmt::format("  {}  {}, {}{}\n", Paint(Style::kBold, Escape(region.partition)),
                        Escape(region.form), Plural(region.nodes, "node"), Escape(where));
    if (IsAttention(region)) text += Wrap(Escape(region.attention), 6);
    text += Wrap(Escape("from " + Join(region.inputs, "; ")), 6);
    text += Wrap(Escape("to " + Join(region.outputs, "; ")), 6);
  }
  return text.empty() ? "" : "taken\n" + text;
}

std::string UntakenList(const PackReport& report, size_t limit) {
  std::string text;
  size_t shown = 0;
  for (const UntakenRegion& region : report.not_taken) {
    if (shown++ == limit) {
      text += fmt::format("  and {} more; --explain lists all\n", report.not_taken.size() - limit);
      break;
    }
    const std::string where = region.graph_path.empty() ? "" : " in " + region.graph_path;
    text += Wrap(fmt::format("{} ({}){}: {}", Escape(region.node), Escape(region.op), Escape(where),
                             Escape(region.reason)),
                 2);
  }
  return text.empty() ? "" : "not taken\n" + text;
}

// Operators in a function of ours because ONNX Runtime does not run them as they are.
std::string LegalLines(const PackReport& report) {
  std::string text;
  if (!report.legalized.empty()) {
    text += Line("legalised", fmt::format("{}: ONNX Runtime refuses the original nodes and runs "
                                          "the decomposition in the front",
                                          Plural(report.legalized.size(), "partition")));
  }
  for (const UntakenRegion& region : report.unrunnable) {
    text += Line("unrunnable", fmt::format("{} ({}): {}", Escape(region.node), Escape(region.op),
                                           Escape(region.reason)));
  }
  return text;
}

std::string SizeLine(const PackReport& report) {
  const uint64_t files = report.front_bytes + (report.embedded ? 0 : report.container_bytes);
  const uint64_t total = files - report.blob_bytes;
  const std::string container = HumanBytes(report.container_bytes);
  return Line("size", "front " + HumanBytes(report.front_bytes) +
                          (report.embedded ? ", with the container of " + container + " inside"
                                           : ", container " + container)) +
         Line("", fmt::format("{} compiled code, {} besides graph and weights",
                              HumanBytes(report.blob_bytes),
                              HumanBytes(total - std::min(total, report.model_bytes))));
}

}  // namespace

Json PackReportJson(const PackReport& report, const std::string& model, const std::string& signer,
                    bool dry_run) {
  Json json = NewReport();
  json["model"] = model;
  json["front"] = report.front;
  json["fronts"] = report.fronts;
  json["container"] = report.embedded ? Json() : Json(report.container);
  json["embedded"] = report.embedded;
  json["dry_run"] = dry_run;
  json["signed_by"] = signer.empty() ? Json() : Json(signer);
  json["taken"] = Json::array();
  for (const TakenRegion& region : report.taken) {
    json["taken"].push_back({{"partition", region.partition},
                             {"graph_path", region.graph_path},
                             {"form", region.form},
                             {"backends", region.backends},
                             {"nodes", region.nodes},
                             {"structure_digest", region.structure_digest},
                             {"attention", region.attention},
                             {"inputs", region.inputs},
                             {"outputs", region.outputs}});
  }
  json["not_taken"] = Json::array();
  for (const UntakenRegion& region : report.not_taken) {
    json["not_taken"].push_back({{"graph_path", region.graph_path},
                                 {"node", region.node},
                                 {"op", region.op},
                                 {"reason", region.reason}});
  }
  json["legalized"] = Json::array();
  for (const LegalizedRegion& region : report.legalized) {
    json["legalized"].push_back({{"partition", region.partition},
                                 {"graph_path", region.graph_path},
                                 {"nodes", region.nodes},
                                 {"body", region.body}});
  }
  json["unrunnable"] = Json::array();
  for (const UntakenRegion& region : report.unrunnable) {
    json["unrunnable"].push_back({{"graph_path", region.graph_path},
                                  {"node", region.node},
                                  {"op", region.op},
                                  {"reason", region.reason}});
  }
  json["distinct_partitions"] = report.distinct_partitions;
  json["contexts"] = Json::array();
  for (const CompiledContext& context : report.contexts) {
    json["contexts"].push_back({{"id", context.id},
                                {"partition", context.partition},
                                {"backend", context.backend},
                                {"target", context.target},
                                {"blob_bytes", context.blob_bytes},
                                {"compile_seconds", context.compile_seconds},
                                {"proof", ProofName(context.proof)},
                                {"proof_reason", context.proof.reason},
                                {"tolerance", context.proof.tolerance},
                                {"largest_error", context.largest_error},
                                {"note", context.note}});
  }
  json["dropped"] = report.dropped;
  json["left_out"] = report.left_out;
  json["sizes"] = {{"model_bytes", report.model_bytes},
                   {"front_bytes", report.front_bytes},
                   {"container_bytes", report.container_bytes},
                   {"blob_bytes", report.blob_bytes}};
  return json;
}

std::string PackReportText(const PackReport& report, const std::string& model,
                           const std::string& signer, bool dry_run, bool explain) {
  std::string text =
      fmt::format("{} -> {}{}\n", Escape(model), Paint(Style::kBold, Escape(report.front)),
                  dry_run ? "  (dry run: nothing was written)" : "");
  if (report.contexts.empty()) {
    text += Line("found", report.taken.empty() ? "no attention: the package has no compiled context"
                                               : "nothing was compiled: see below");
  } else {
    text += FoundLines(report);
    text += Line("compiled", fmt::format("{} in {}: {}", Plural(report.contexts.size(), "context"),
                                         HumanSeconds(CompileSeconds(report)), Targets(report)));
    text += ProofLines(report);
    text += NoteLines(report);
  }
  for (const std::string& dropped : report.dropped) text += Line("dropped", Escape(dropped));
  for (const std::string& left_out : report.left_out) text += Line("left out", Escape(left_out));
  text += LegalLines(report);
  text += SizeLine(report);
  text += Line("signed", SignedWords(signer));
  if (explain) text += TakenList(report);
  text += UntakenList(report, explain ? report.not_taken.size() : 8);
  return text;
}

}  // namespace backendctx::tools
