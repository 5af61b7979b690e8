#include "authoring/legal_body.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "authoring/body_runner.h"
#include "authoring/make_region.h"
#include "authoring/operator_cases.h"
#include "base/bytes.h"
#include "crypto/sha256.h"
#include "fmt/format.h"
#include "model/legalize.h"
#include "package/state.h"

namespace backendctx::authoring {
namespace {

model::EncodedPartition EncodedOf(const Region& region) {
  model::EncodedPartition encoded = package::ToEncoded(region.partition);
  encoded.legal_body = region.legal_body;
  return encoded;
}

// Nodes that regions hold, by graph; and the graphs below them, which are inside functions.
struct Held {
  std::map<std::string, std::set<std::string>> nodes;
  std::set<const model::GraphView*> graphs;

  explicit Held(const std::vector<Region>& regions) {
    for (const Region& region : regions) {
      const manifest::Partition& partition = region.partition;
      nodes[partition.graph_path].insert(partition.nodes.begin(), partition.nodes.end());
      for (const std::string& key : partition.nodes) {
        for (const auto& attribute : region.graph->nodes[region.graph->producer.at(key)].attributes)
          if (attribute.graph) graphs.insert(attribute.graph.get());
      }
    }
  }
  bool Has(const model::GraphView& graph, const std::string& key) const {
    for (const model::GraphView* at = &graph; at != nullptr; at = at->parent) {
      if (graphs.count(at)) return true;
    }
    const auto found = nodes.find(graph.path);
    return found != nodes.end() && found->second.count(key);
  }
};

// Equal keys: a runtime answers the same.
std::string KeyOf(const Region& region) {
  std::string key = region.partition.structure_digest.Hex();
  for (const manifest::BoundaryValue& input : region.partition.inputs) {
    key += fmt::format("|{} {}", input.element_type, input.has_shape);
    for (const manifest::Dim& dim : input.dims) key += fmt::format(" {}{}", dim.value, dim.symbol);
  }
  return key;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

class Operators {
 public:
  Operators(const model::FlatModel& flat, const ProofTools& tools) : flat_(flat), tools_(tools) {}

  Status Look(const model::GraphView& graph, size_t index, const std::string& variant) {
    const model::Node& node = graph.nodes[index];
    const size_t number = out_.regions.size();
    Result<Region> made = SingleNode(
        flat_, graph, index, variant, fmt::format("{}-legal-{}", Lower(node.op_type), number),
        fmt::format("BackendContext_{}_legal_{}", node.op_type, number));
    // What no function and no manifest can carry stays as it is.
    if (!made) {
      return made.error().code() == StatusCode::kUnimplemented ? OkStatus() : made.error();
    }
    Region region = std::move(*made);
    const auto [known, is_new] = refused_.try_emplace(KeyOf(region));
    if (is_new) {
      BCTX_ASSIGN_OR_RETURN(known->second, Ask(region));
    }
    if (known->second.original.empty()) return OkStatus();
    if (known->second.legal.empty()) {
      BCTX_RETURN_IF_ERROR(GiveLegalBody(flat_, &region));
      out_.regions.push_back(std::move(region));
      return OkStatus();
    }
    out_.unrunnable.push_back({graph.path, node.name.empty() ? node.Key() : node.name, node.op_type,
                               WhyUnrunnable(known->second.original, known->second.legal)});
    return OkStatus();
  }

  LegalOperators Take() { return std::move(out_); }

 private:
  struct Answer {
    std::string original, legal;  // why not; empty: it runs
  };

  Result<Answer> Ask(const Region& region) const {
    Answer answer;
    BCTX_ASSIGN_OR_RETURN(answer.original, TryBody(region));
    if (answer.original.empty()) return answer;
    Region legal = region;
    const Status made = GiveLegalBody(flat_, &legal);
    answer.legal = made.message();
    if (made.ok()) {
      BCTX_ASSIGN_OR_RETURN(answer.legal, TryBody(legal));
    }
    return answer;
  }

  // Why ONNX Runtime does not run it; empty: it does.
  Result<std::string> TryBody(const Region& region) const {
    const Result<std::string> model = BodyModelOf(flat_, region);
    if (!model) return std::string(model.error().message());
    proof::Request request;
    request.cases = OperatorCases(flat_, region);
    const Result<std::string> answer = RunBody(tools_, *model, std::move(request));
    if (answer) return std::string();
    if (answer.status().code() != StatusCode::kInternal) {
      return answer.status().WithContext("proofs");
    }
    return RefusalOf(answer.error().message());
  }

  const model::FlatModel& flat_;
  const ProofTools& tools_;
  std::map<std::string, Answer> refused_;
  LegalOperators out_;
};

}  // namespace

Status GiveLegalBody(const model::FlatModel& flat, Region* region) {
  BCTX_ASSIGN_OR_RETURN(model::LegalBody legal,
                        model::Legalize(flat, package::ToEncoded(region->partition)));
  region->legal_body = std::move(legal.function);
  region->partition.body = crypto::Sha256(base::AsBytes(region->legal_body));
  BCTX_ASSIGN_OR_RETURN(region->partition.body_structure_digest,
                        model::LegalBodyDigest(flat, EncodedOf(*region)));
  return OkStatus();
}

Result<std::string> BodyModelOf(const model::FlatModel& flat, const Region& region) {
  return model::BodyModel(flat, EncodedOf(region));
}

Result<LegalOperators> LegalizeOperators(const model::FlatModel& flat,
                                         const std::vector<Region>& taken,
                                         const std::string& variant, const ProofTools& tools) {
  if (!CanRunBodies(tools)) return LegalOperators{};
  const Held held(taken);
  Operators operators(flat, tools);
  for (const model::GraphView* graph : model::AllGraphs(flat.view())) {
    for (size_t i = 0; i < graph->nodes.size(); ++i) {
      const model::Node& node = graph->nodes[i];
      if (!model::HasDecomposition(node) || held.Has(*graph, node.Key())) continue;
      BCTX_RETURN_IF_ERROR(operators.Look(*graph, i, variant));
    }
  }
  return operators.Take();
}

std::string WhyUnrunnable(const std::string& original, const std::string& legal) {
  if (original == legal) {
    return fmt::format("ONNX Runtime runs neither it nor its decomposition: {}", original);
  }
  return fmt::format("ONNX Runtime does not run it ({}), nor a decomposition ({})", original,
                     legal);
}

std::string RefusalOf(const std::string& words) {
  constexpr size_t kMost = 200;
  std::string reason = words;
  const auto drop = [&reason](const std::string& before) {
    if (const size_t at = reason.find(before); at != std::string::npos) {
      reason.erase(0, at + before.size());
    }
  };
  drop("bctx-run-body: ");
  drop("onnxruntime: ");
  // "/onnxruntime_src/a/b.cc:12 void f(const T&) what happened": where it was thrown is left out.
  if (reason.starts_with("/onnxruntime_src/")) {
    size_t at = reason.find('(');
    for (int open = 0; at < reason.size(); ++at) {
      open += reason[at] == '(' ? 1 : reason[at] == ')' ? -1 : 0;
      if (open == 0) break;
    }
    if (at < reason.size()) reason.erase(0, at + 1);
    if (reason.starts_with(" const")) reason.erase(0, 6);
  }
  reason.erase(0, reason.find_first_not_of(' '));
  if (reason.size() > kMost) reason = reason.substr(0, kMost) + "...";
  return reason.empty() ? words : reason;
}

}  // namespace backendctx::authoring
