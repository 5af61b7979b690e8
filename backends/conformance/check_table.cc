// What a table is, and what a backend says of machines and labels.
#include <cstddef>
#include <cstring>
#include <set>

#include "conformance/cases.h"
#include "conformance/checks.h"

namespace backendctx::conformance {
namespace {

constexpr size_t kMaxName = 64, kMaxListed = 1024, kMaxText = 4096;

void CheckName(const char* name, Report* report) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  if (!IsClean(name, kMaxName) || name[0] == '\0' || name[std::strspn(name, kAllowed)] != '\0') {
    report->Fail("backend: expected a name of lower-case letters, digits and hyphens");
  }
}

void CheckList(const char* const* list, const char* member, Report* report) {
  if (list == nullptr) {
    report->Fail("%s is null", member);
    return;
  }
  std::set<std::string> seen;
  for (size_t i = 0; list[i] != nullptr; ++i) {
    if (i == kMaxListed) {
      report->Fail("%s has no end", member);
      return;
    }
    if (!IsClean(list[i], kMaxName) || list[i][0] == '\0') {
      report->Fail("%s[%zu]: expected a short name", member, i);
    } else if (!seen.insert(list[i]).second) {
      report->Fail("%s: '%s' is there twice", member, list[i]);
    }
  }
}

void CheckOne(const bctx_plugin& table, Report* report) {
  CheckName(table.backend, report);
  if (!IsClean(table.version, kMaxName) || table.version[0] == '\0') {
    report->Fail("version: expected a short text");
  }
  const auto paired = [report](bool one, bool other, const char* what) {
    if (one != other) report->Fail("found only some of %s", what);
  };
  paired(table.compile != nullptr, table.release_blob != nullptr, "compile and release_blob");
  paired(table.offer != nullptr, table.release_offer != nullptr, "offer and release_offer");
  paired(table.load != nullptr, table.run != nullptr, "load, run and unload");
  paired(table.load != nullptr, table.unload != nullptr, "load, run and unload");
  constexpr uint64_t kFlags = BCTX_PLUGIN_REPRODUCIBLE | BCTX_PLUGIN_FRAGILE;
  if ((table.flags & ~kFlags) != 0) report->Fail("flags: found some that version 1 has not");
  if (table.load_keys != nullptr) CheckList(table.load_keys, "load_keys", report);
  if (table.compile == nullptr) return;
  CheckList(table.targets, "targets", report);
  CheckList(table.option_keys, "option_keys", report);
}

struct Texts {
  std::map<std::string, std::string> found;
  std::string wrong;
};

void Add(bctx_sink* sink, const char* key, const char* value) {
  auto* texts = static_cast<Texts*>(sink->host);
  if (!IsClean(key, kMaxText) || !IsClean(value, kMaxText)) {
    texts->wrong = "a text has control characters or no end";
  } else if (!texts->found.emplace(key, value).second) {
    texts->wrong = std::string(key) + " is there twice";
  }
}

Texts FactsOf(const bctx_plugin& table, Report* report) {
  Texts texts;
  bctx_sink sink{sizeof(sink), &Add, &texts};
  ErrorBuffer error;
  ExpectCode(report, table.facts(&sink, error.get()), BCTX_OK, error.error);
  return texts;
}

bctx_judgement Judge(const bctx_plugin& table, const std::string& label, Report* report) {
  bctx_judgement judgement{};
  judgement.struct_size = sizeof(judgement);
  std::memset(judgement.reason, 'x', sizeof(judgement.reason));
  judgement.reason[0] = '\0';
  judgement.verdict = -1;
  ErrorBuffer error;
  report->About("label '" + label.substr(0, 60) + "'");
  const bctx_code code = table.judge(label.c_str(), &judgement, error.get());
  ExpectCode(report, code, BCTX_OK, error.error);
  if (code != BCTX_OK) return judgement;
  if (judgement.verdict < BCTX_NOT_APPLICABLE || judgement.verdict > BCTX_UNSUPPORTED_HERE) {
    report->Fail("verdict %d is none", judgement.verdict);
  } else if (!IsClean(judgement.reason, sizeof(judgement.reason) - 1)) {
    report->Fail("the reason has control characters or no end");
  } else if (judgement.verdict != BCTX_OPTIMAL && judgement.reason[0] == '\0') {
    report->Fail("a verdict of %d has no reason", judgement.verdict);
  }
  return judgement;
}

}  // namespace

void CheckTable(const Backend& backend, Report* report) {
  if (backend.compiler != nullptr) CheckOne(*backend.compiler, report);
  if (backend.driver != nullptr && backend.driver != backend.compiler) {
    CheckOne(*backend.driver, report);
  }
  const bool is_whole = backend.compiler != nullptr && backend.driver != nullptr;
  report->Note("%s %s, %s", backend.Any().backend, backend.Any().version,
               is_whole                      ? "compiles and runs"
               : backend.compiler != nullptr ? "compiles"
                                             : "runs");
}

void CheckFacts(const Backend& backend, Report* report) {
  const bctx_plugin* table = backend.With(&bctx_plugin::facts);
  if (table == nullptr) return report->Skip("the backend has no facts");
  const Texts texts = FactsOf(*table, report);
  if (!texts.wrong.empty()) report->Fail("%s", texts.wrong.c_str());
  const std::string own = std::string("vendor.") + table->backend;
  for (const auto& [key, value] : texts.found) {
    if (key.starts_with("library.") || key == own) continue;
    report->Fail("key '%s' is neither a library's version nor %s", key.c_str(), own.c_str());
  }
  if (FactsOf(*table, report).found != texts.found) report->Fail("two calls differ");
  report->Note("%zu facts", texts.found.size());
}

void CheckJudge(const Backend& backend, Report* report) {
  const bctx_plugin* table = backend.With(&bctx_plugin::judge);
  if (table == nullptr) return report->Skip("the backend has no judge");
  for (const char* strange : {"", "no label of any backend", "%s%n", "\xc3\xa4"}) {
    const bctx_judgement judgement = Judge(*table, strange, report);
    if (judgement.verdict == BCTX_OPTIMAL || judgement.verdict == BCTX_PREFER_RECOMPILATION) {
      report->Fail("it would run what is no label");
    }
  }
  Judge(*table, std::string(100000, 'a'), report);
  const bctx_plugin* facts = backend.With(&bctx_plugin::facts);
  if (facts == nullptr) return;
  const Texts texts = FactsOf(*facts, report);
  const auto own = texts.found.find(std::string("vendor.") + table->backend);
  if (own == texts.found.end()) return report->Note("the facts name no label of this machine");
  if (Judge(*table, own->second, report).verdict != BCTX_OPTIMAL) {
    report->Fail("the label of a blob made here is not optimal here");
  }
}

void CheckLabel(const Backend& backend, Report* report) {
  const bctx_plugin* table = backend.With(&bctx_plugin::label);
  if (table == nullptr) return report->Skip("the backend has no labels");
  const auto label_of = [&](const std::string& bytes, bctx_code* code, ErrorBuffer* error) {
    Texts texts;
    bctx_sink sink{sizeof(sink), &Add, &texts};
    const bctx_bytes blob{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
    *code = table->label(&blob, &sink, error->get());
    if (!texts.wrong.empty()) report->Fail("%s", texts.wrong.c_str());
    for (const auto& [key, value] : texts.found) {
      if (key != "label") report->Fail("found the key '%s', expected label", key.c_str());
    }
    return texts.found.empty() ? std::string() : texts.found.begin()->second;
  };
  if (backend.compiler == nullptr) return report->Skip("no compiler was named");
  size_t blobs = 0;
  for (const Taken& taken : CompileAll(backend, report, Enough(backend))) {
    report->About(taken.Name());
    bctx_code code = BCTX_OK;
    ErrorBuffer error;
    const std::string label = label_of(taken.blob.bytes, &code, &error);
    ExpectCode(report, code, BCTX_OK, error.error);
    if (label != taken.blob.label) {
      report->Fail("compile says '%s', the blob '%s'", taken.blob.label.c_str(), label.c_str());
    }
    for (size_t size = 0; size < taken.blob.bytes.size(); size = size * 2 + 1) {
      ErrorBuffer damaged;  // it may find a label in a part of a blob; it may not crash
      label_of(taken.blob.bytes.substr(0, size), &code, &damaged);
    }
    ++blobs;
  }
  report->Note("%zu blobs", blobs);
}

}  // namespace backendctx::conformance
