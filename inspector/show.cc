// bctx-inspect show: what is in a package, for people.

#include "inspector/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "inspector/plain.h"
#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

std::string Line(const std::string& label, const std::string& text) {
  return "  " + Paint(Style::kDim, fmt::format("{:<12}", label)) + text + "\n";
}

Result<std::string> Head(const Package& package, const std::string& file) {
  const manifest::Manifest& m = package.manifest();
  std::string text =
      fmt::format("{}  BackendContext package {}.{}, {}\n", Paint(Style::kBold, Escape(file)),
                  m.format_major, m.format_minor,
                  package.encoding().empty() ? "bare container" : package.encoding() + " encoding");
  text += Line("name", fmt::format("{}, sequence {}, by {}", Escape(m.name), m.sequence,
                                   Escape(m.producer)));
  text += Line("container",
               package.is_embedded() ? "inside the front" : Escape(package.container_path()));
  if (package.opset() != 0) {
    text += Line("model",
                 fmt::format("opset {}, IR version {}", package.opset(), package.ir_version()));
  }
  for (const manifest::Variant& variant : m.variants) {
    BCTX_ASSIGN_OR_RETURN(const WeightsSummary weights, package.Weights(variant.name));
    text += Line(
        "variant",
        fmt::format("{}  graph {}, {}, {}", Escape(variant.name), ShortDigest(variant.graph_digest),
                    Plural(weights.tensors, "tensor"), HumanBytes(weights.logical_bytes)));
    text += Line("weights",
                 fmt::format("{} stored, {} saved by sharing equal ones",
                             HumanBytes(weights.stored_bytes), HumanBytes(weights.saved_equal)));
  }
  text += Line("signed", TrustText(package));
  text += Line("checked", "head, manifest, signatures; contents were not hashed: see verify");
  return text;
}

struct ContextRow {
  std::string target, code, proof, verdict, outcome, reason;
  auto operator<=>(const ContextRow&) const = default;
};

// Partitions whose contexts read alike, in the order in which they were met.
struct Alike {
  std::vector<std::string> partitions;
  size_t nodes = 0;
  std::vector<ContextRow> rows;
};

std::vector<Alike> GroupPartitions(const Package& package,
                                   const std::map<std::string, Decision>& decisions) {
  std::vector<Alike> groups;
  std::map<Digest, uint64_t> sizes;
  for (const manifest::Content& content : package.manifest().contents) {
    sizes[content.digest] = content.size;
  }
  for (const manifest::Partition& partition : package.manifest().partitions) {
    Alike one{{partition.id}, partition.nodes.size(), {}};
    for (const manifest::Context& context : package.manifest().contexts) {
      if (context.partition != partition.id) continue;
      const Decision& decision = decisions.at(context.id);
      one.rows.push_back({context.target,
                          fmt::format("{} ({})", HumanBytes(sizes[context.blob]),
                                      ShortDigest(context.blob).substr(0, 6)),
                          ProofName(context.proof), VerdictName(decision.verdict),
                          OutcomeName(decision.outcome), decision.reason});
    }
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Alike& group) {
      return group.nodes == one.nodes && group.rows == one.rows;
    });
    if (same == groups.end()) {
      groups.push_back(std::move(one));
    } else {
      same->partitions.push_back(partition.id);
    }
  }
  return groups;
}

std::string Names(const std::vector<std::string>& partitions) {
  if (partitions.size() <= 2) return Escape(Join(partitions, ", "));
  return fmt::format("{} ... {} ({} alike)", Escape(partitions.front()), Escape(partitions.back()),
                     partitions.size());
}

std::string Contexts(const Package& package) {
  const auto decisions = DecisionsByContext(package, HostFor(package), Policy{});
  std::string text = "\ncontexts, judged for this machine\n";
  for (const Alike& group : GroupPartitions(package, decisions)) {
    text += fmt::format("  {}  {}\n", Paint(Style::kBold, Names(group.partitions)),
                        Plural(group.nodes, "node"));
    Table table({Align::kLeft, Align::kRight, Align::kLeft, Align::kLeft, Align::kLeft});
    for (const ContextRow& row : group.rows) {
      const std::string why = row.reason == "ok" ? "" : ": " + row.reason;
      table.Row({Escape(row.target), row.code, row.proof, row.verdict, row.outcome + why});
    }
    text += table.Text(4);
  }
  return text;
}

std::string Stale(const Package& package) {
  std::string text;
  for (const Binding& binding : package.bindings()) {
    if (binding.stale.empty()) continue;
    text += Wrap(fmt::format("{}: stale: {}", Escape(binding.partition), Escape(binding.stale)), 2);
  }
  return text.empty() ? "" : "\nedited by another tool: these run interpreted\n" + text;
}

int ShowVerb(const ReadFlags& flags) {
  const Result<Package> package = OpenPackage(flags);
  if (!package) return Fail(package.error());
  if (flags.json) {
    const Result<Json> json = ShowJson(*package, flags.package);
    if (!json) return Fail(json.error());
    PrintJson(*json);
    return 0;
  }
  const Result<std::string> text = ShowText(*package, flags.package);
  if (!text) return Fail(text.error());
  Print(*text);
  return 0;
}

}  // namespace

Result<std::string> ShowText(const Package& package, const std::string& file) {
  if (!package.has_container()) {
    BCTX_ASSIGN_OR_RETURN(const ModelReferences references, ReferencesOf(package));
    return PlainText(package, file, references);
  }
  BCTX_ASSIGN_OR_RETURN(std::string text, Head(package, file));
  if (package.manifest().contexts.empty()) return text + "\nno contexts\n";
  return text + Contexts(package) + Stale(package);
}

void AddShow(CommandLine& line) {
  auto flags = std::make_shared<ReadFlags>();
  CLI::App* verb =
      line.Verb("show", "what is in a package, and what of it fits this machine",
                "bctx-inspect show package.onnx", [flags] { return ShowVerb(*flags); });
  AddReadFlags(verb, flags.get());
}

}  // namespace backendctx::tools
