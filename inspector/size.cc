// bctx-inspect size: every byte of the files has a label, and the labels add up to the files.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "inspector/plain.h"
#include "inspector/reading.h"
#include "inspector/verbs.h"
#include "tools_common/text.h"

namespace backendctx::tools {
namespace {

struct Label {
  std::string file, label;
  uint64_t entries = 0, bytes = 0;
  std::string detail{};  // of compiled code: who made it, for what
};

Result<uint64_t> FileSize(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error) return static_cast<uint64_t>(size);
  return Status(StatusCode::kIo, fmt::format("{}: {}", path, error.message()), {.file = path});
}

// For each blob the backends and targets whose contexts use it.
std::map<Digest, std::string> BlobUses(const Package& package) {
  std::map<Digest, std::set<std::string>> uses;
  for (const manifest::Context& context : package.manifest().contexts) {
    uses[context.blob].insert(context.backend + "/" + context.target);
  }
  std::map<Digest, std::string> texts;
  for (const auto& [blob, names] : uses) texts[blob] = fmt::format("{}", fmt::join(names, ", "));
  return texts;
}

// Entries by kind; what lies before the first is header and index, what lies between is alignment.
Result<std::vector<Label>> ContainerLabels(const Package& package) {
  const std::string& path = package.container_path();
  const uint64_t size = package.container_size();
  std::vector<StoredContent> contents = package.contents();
  std::erase_if(contents, [](const StoredContent& c) { return c.stored_size == 0; });
  std::sort(contents.begin(), contents.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::vector<Label> labels{
      {path, "header and index", 1, contents.empty() ? size : contents[0].offset}};
  Label gaps{path, "alignment", 0, 0};
  const std::map<Digest, std::string> uses = BlobUses(package);
  uint64_t end = labels.front().bytes;
  for (const StoredContent& content : contents) {
    gaps.entries += content.offset > end ? 1 : 0;
    gaps.bytes += content.offset - end;
    end = content.offset + content.stored_size;
    const auto use = uses.find(content.digest);
    const std::string detail = use == uses.end() ? "" : use->second;
    const auto same = std::find_if(labels.begin(), labels.end(), [&](const Label& label) {
      return label.label == content.kind && label.detail == detail;
    });
    if (same == labels.end()) {
      labels.push_back({path, content.kind, 1, content.stored_size, detail});
    } else {
      ++same->entries;
      same->bytes += content.stored_size;
    }
  }
  gaps.bytes += size - end;
  labels.push_back(gaps);
  return labels;
}

// The files that a plain model names, each once.
Status AddReferenced(const Package& package, std::vector<Label>* labels) {
  BCTX_ASSIGN_OR_RETURN(const ModelReferences references, ReferencesOf(package));
  std::set<std::string> seen;
  const auto add = [&](const ReferencedFile& file, const std::string& label,
                       const std::string& detail) {
    if (file.state == "present" && seen.insert(file.location).second) {
      labels->push_back({file.path, label, 1, file.bytes, detail});
    } else if (file.state != "present" && !file.state.empty()) {
      Warn(fmt::format("{} '{}' is {}: not counted", label, Escape(file.location), file.state));
    }
  };
  for (const ReferencedFile& file : references.external_files) add(file, "external data", "");
  for (const EpContextNode& node : references.ep_contexts) {
    if (!node.embedded && !node.file.location.empty()) add(node.file, "blob", node.source);
  }
  return OkStatus();
}

Result<std::vector<Label>> AllLabels(const Package& package) {
  std::vector<Label> labels;
  if (!package.front_path().empty()) {
    BCTX_ASSIGN_OR_RETURN(uint64_t size, FileSize(package.front_path()));
    if (package.is_embedded()) size -= package.container_size();
    labels.push_back({package.front_path(), package.has_container() ? "front" : "model", 1, size});
  }
  if (!package.has_container()) {
    BCTX_RETURN_IF_ERROR(AddReferenced(package, &labels));
    return labels;
  }
  BCTX_ASSIGN_OR_RETURN(const std::vector<Label> more, ContainerLabels(package));
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

int SizeVerb(const ReadFlags& flags) {
  const Result<Package> package = OpenPackage(flags);
  if (!package) return Fail(package.error());
  const Result<std::vector<Label>> labels = AllLabels(*package);
  if (!labels) return Fail(labels.error());
  uint64_t total = 0;
  for (const Label& label : *labels) total += label.bytes;
  Json json = NewReport();
  json["total_bytes"] = total;
  json["labels"] = Json::array();
  Table table({Align::kLeft, Align::kRight, Align::kRight, Align::kRight, Align::kLeft});
  for (const Label& label : *labels) {
    json["labels"].push_back({{"file", label.file},
                              {"label", label.label},
                              {"detail", label.detail},
                              {"entries", label.entries},
                              {"bytes", label.bytes}});
    const double part =
        total == 0 ? 0 : 100.0 * static_cast<double>(label.bytes) / static_cast<double>(total);
    table.Row({Escape(label.label), fmt::format("{}", label.entries), HumanBytes(label.bytes),
               fmt::format("{:.2f} %", part), Escape(label.detail)});
  }
  table.Row({"total", "", HumanBytes(total), fmt::format("{} B", total)});
  if (flags.json) {
    PrintJson(json);
  } else {
    Print(table.Text(0));
  }
  return 0;
}

}  // namespace

void AddSize(CommandLine& line) {
  auto flags = std::make_shared<ReadFlags>();
  CLI::App* verb = line.Verb("size", "where the bytes go", "bctx-inspect size package.onnx",
                             [flags] { return SizeVerb(*flags); });
  AddReadFlags(verb, flags.get());
}

}  // namespace backendctx::tools
