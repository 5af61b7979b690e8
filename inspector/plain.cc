#include "inspector/plain.h"

#include <fmt/format.h>

#include "tools_common/terminal.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

// "embedded", or the file and what became of it.
std::string Where(const EpContextNode& node) {
  if (node.embedded) return "embedded";
  if (node.file.location.empty()) return node.main_context ? "no code" : "shares code";
  const std::string name = Escape(node.file.location);
  return node.file.state == "present" ? name : name + " (" + node.file.state + ")";
}

std::string NodesText(const ModelReferences& references) {
  Table table({Align::kLeft, Align::kLeft, Align::kLeft, Align::kRight, Align::kLeft});
  for (const EpContextNode& node : references.ep_contexts) {
    table.Row({Escape(node.node), node.source.empty() ? "unnamed" : Escape(node.source),
               Escape(node.hardware), HumanBytes(node.bytes), Where(node)});
  }
  return table.Text(2);
}

void Check(const std::string& name, const ReferencedFile& file, VerifyReport* report) {
  if (file.state == "present") {
    report->checks.push_back({name, fmt::format("{}: {} bytes", file.location, file.bytes), true});
    return;
  }
  const bool missing = file.state == "missing";
  const std::string found = missing ? "no such file" : "a name that leaves the model's folder";
  const std::string expected = "a file beside the model";
  const Status status(
      missing ? StatusCode::kIo : StatusCode::kUnsafePath,
      fmt::format("{} '{}': found {}, expected {}", name, file.location, found, expected),
      {.file = file.location, .field = name, .found = found, .expected = expected});
  report->checks.push_back({name, status.message(), false});
  if (report->first_error.ok()) report->first_error = status;
}

}  // namespace

Result<ModelReferences> ReferencesOf(const Package& package) {
  if (package.has_container()) return ModelReferences{};
  return ReadReferences(package.front_path());
}

std::string PlainText(const Package& package, const std::string& file,
                      const ModelReferences& references) {
  const std::string versions =
      fmt::format("opset {}, IR version {}", package.opset(), package.ir_version());
  std::string text;
  if (references.ep_contexts.empty()) {
    text = fmt::format("{}  a plain ONNX model, {}: it has no contexts\n", Escape(file), versions);
  } else {
    text = fmt::format("{}  an EPContext model, {}: {} of other makers\n", Escape(file), versions,
                       Plural(references.ep_contexts.size(), "node"));
    text += NodesText(references);
    text += Wrap("no digest, no signature and no fallback body: nobody vouches for this code", 2);
  }
  for (const auto& [provider, compatibility] : references.ep_compatibility) {
    text +=
        Wrap(fmt::format("compatibility of {}: {}", Escape(provider), Escape(compatibility)), 2);
  }
  for (const ReferencedFile& external : references.external_files) {
    text += fmt::format("  external data {}: {}\n", Escape(external.location),
                        external.state == "present" ? HumanBytes(external.bytes) : external.state);
  }
  return text;
}

Json EpContextsJson(const ModelReferences& references) {
  Json list = Json::array();
  for (const EpContextNode& node : references.ep_contexts) {
    const bool named = !node.embedded && !node.file.location.empty();
    list.push_back({{"node", node.node},
                    {"graph_path", node.graph_path},
                    {"source", node.source},
                    {"partition_name", node.partition_name},
                    {"sdk_version", node.sdk_version},
                    {"hardware", node.hardware},
                    {"main_context", node.main_context},
                    {"embedded", node.embedded},
                    {"bytes", node.bytes},
                    {"file", named ? Json(node.file.location) : Json()},
                    {"state", named ? Json(node.file.state) : Json()}});
  }
  return list;
}

Json EpCompatibilityJson(const ModelReferences& references) {
  Json map = Json::object();
  for (const auto& [provider, text] : references.ep_compatibility) map[provider] = text;
  return map;
}

void CheckReferences(const ModelReferences& references, VerifyReport* report) {
  for (const ReferencedFile& file : references.external_files) {
    Check("external data", file, report);
  }
  for (const EpContextNode& node : references.ep_contexts) {
    if (!node.embedded && !node.file.location.empty()) {
      Check("code of " + node.node, node.file, report);
    }
  }
}

}  // namespace backendctx::tools
