// What a vendor's code says of blobs and of this machine: labels, facts, verdicts.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "plugin/plugin.h"
#include "plugin/table.h"

namespace backendctx::plugin {
namespace {

constexpr size_t kMaxFacts = 1024;

// Collects what a plug-in adds; the first thing that is wrong with it stays.
class Sink {
 public:
  Sink() {
    sink_.struct_size = sizeof(sink_);
    sink_.add = &Add;
    sink_.host = this;
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  bctx_sink* c() { return &sink_; }
  Result<std::vector<manifest::KeyValue>> Take() {
    if (!wrong_.empty()) return Status(StatusCode::kInternal, wrong_);
    return std::move(entries_);
  }

 private:
  static void Add(bctx_sink* sink, const char* key, const char* value) {
    auto* self = static_cast<Sink*>(sink->host);
    manifest::KeyValue entry;
    if (!self->wrong_.empty()) return;
    if (!ReadText(key, kMaxText, &entry.key) || !ReadText(value, kMaxText, &entry.value)) {
      self->wrong_ = "expected texts without control characters";
    } else if (self->entries_.size() == kMaxFacts) {
      self->wrong_ = fmt::format("found more than {} texts", kMaxFacts);
    } else {
      self->entries_.push_back(std::move(entry));
    }
  }

  bctx_sink sink_{};
  std::vector<manifest::KeyValue> entries_;
  std::string wrong_;
};

}  // namespace

Result<std::optional<std::string>> LabelOf(const Plugin& plugin, std::string_view blob) {
  const bctx_plugin& table = plugin.table();
  if (table.label == nullptr) return std::optional<std::string>();
  const bctx_bytes bytes{reinterpret_cast<const uint8_t*>(blob.data()), blob.size()};
  Sink sink;
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "label", [&](bctx_error* error) {
    return table.label(&bytes, sink.c(), error);
  }));
  const Result<std::vector<manifest::KeyValue>> said = sink.Take();
  if (!said) return said.status().WithContext(plugin.backend() + ": label");
  std::optional<std::string> label;
  for (const manifest::KeyValue& entry : *said) {
    if (entry.key == "label") label = entry.value;
  }
  return label;
}

Result<std::vector<manifest::KeyValue>> FactsOf(const Plugin& plugin) {
  const bctx_plugin& table = plugin.table();
  if (table.facts == nullptr) return std::vector<manifest::KeyValue>();
  Sink sink;
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "facts",
                               [&](bctx_error* error) { return table.facts(sink.c(), error); }));
  Result<std::vector<manifest::KeyValue>> facts = sink.Take();
  if (!facts) return facts.status().WithContext(plugin.backend() + ": facts");
  std::sort(facts->begin(), facts->end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  for (size_t i = 0; i < facts->size(); ++i) {
    const std::string& key = (*facts)[i].key;
    const bool repeats = i > 0 && (*facts)[i - 1].key == key;
    const bool is_own = key.starts_with("library.") || key == "vendor." + plugin.backend();
    if (!repeats && is_own) continue;
    return Status(
        StatusCode::kInternal,
        fmt::format("{0}: facts: key '{1}': {2}", plugin.backend(), key,
                    repeats ? "is there twice" : "expected library.NAME or vendor.BACKEND"));
  }
  return facts;
}

Result<Judgement> JudgeLabel(const Plugin& plugin, const std::string& label) {
  const bctx_plugin& table = plugin.table();
  if (table.judge == nullptr) return Judgement{};
  bctx_judgement said{};
  said.struct_size = sizeof(said);
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "judge", [&](bctx_error* error) {
    return table.judge(label.c_str(), &said, error);
  }));
  if (said.verdict < BCTX_NOT_APPLICABLE || said.verdict > BCTX_UNSUPPORTED_HERE) {
    return Status(StatusCode::kInternal,
                  fmt::format("{}: judge: verdict {} is none", plugin.backend(), said.verdict));
  }
  const size_t size = strnlen(said.reason, sizeof(said.reason));
  return Judgement{static_cast<bctx_verdict>(said.verdict),
                   base::Printable({said.reason, size}, sizeof(said.reason))};
}

}  // namespace backendctx::plugin
