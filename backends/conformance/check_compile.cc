// offer and compile.
#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

#include "conformance/cases.h"
#include "conformance/checks.h"

namespace backendctx::conformance {
namespace {

struct Offered {
  std::vector<std::vector<size_t>> claims;
  std::vector<std::pair<size_t, std::string>> refusals;
  bool operator==(const Offered&) const = default;
};

Offered Ask(const bctx_plugin& table, const Host& host, Report* report) {
  bctx_offer_request request{};
  request.struct_size = sizeof(request);
  request.graph = &host.graph();
  bctx_offer offer{};
  offer.struct_size = sizeof(offer);
  ErrorBuffer error;
  const bctx_code code = table.offer(&request, &offer, error.get());
  ExpectCode(report, code, BCTX_OK, error.error);
  Offered offered;
  if (code != BCTX_OK) return offered;
  const size_t nodes = host.graph().node_count;
  std::set<size_t> seen;
  for (size_t i = 0; i < offer.claim_count; ++i) {
    const bctx_claim& claim = offer.claims[i];
    if (claim.node_count == 0) report->Fail("claim %zu has no node", i);
    offered.claims.emplace_back(claim.nodes, claim.nodes + claim.node_count);
    for (const size_t node : offered.claims.back()) {
      if (node >= nodes) {
        report->Fail("claim %zu names node %zu, and %zu were offered", i, node, nodes);
      } else if (!seen.insert(node).second) {
        report->Fail("claim %zu: node %zu is claimed twice", i, node);
      } else if (!host.model().nodes[node].domain.empty()) {
        report->Fail("claim %zu has a node of an operator that nobody knows", i);
      }
    }
  }
  for (size_t i = 0; i < offer.refusal_count; ++i) {
    const bctx_refusal& refusal = offer.refusals[i];
    if (refusal.node >= nodes) report->Fail("refusal %zu is of no node", i);
    if (!IsClean(refusal.reason, 500) || refusal.reason[0] == '\0') {
      report->Fail("refusal %zu has no reason that people can read", i);
    } else {
      offered.refusals.emplace_back(refusal.node, refusal.reason);
    }
  }
  table.release_offer(&offer);
  return offered;
}

// The choices of an option that many backends have.
std::vector<Options> WeightChoices(const Backend& backend, const Host& host) {
  std::vector<Options> choices = {{}};
  const bool is_few = Enough(backend) != SIZE_MAX && host.model().name != "layers";
  if (host.table().empty() || is_few) return choices;
  for (const std::string& key : ListOf(backend.compiler->option_keys)) {
    if (key != "weights") continue;
    for (const char* kind : {"embedded", "inputs", "refit", "offset"}) {
      choices.push_back({{key, kind}});
    }
  }
  return choices;
}

void CheckBlob(const Backend& backend, const Taken& taken, Report* report) {
  const Blob& blob = taken.blob;
  report->About(taken.Name());
  if (blob.bytes.empty()) report->Fail("the blob is empty");
  if (blob.entry.empty()) report->Fail("the blob has no entry");
  if (!std::is_sorted(blob.options.begin(), blob.options.end())) {
    report->Fail("the options are not sorted by key");
  }
  if (blob.weights < BCTX_WEIGHTS_NONE || blob.weights > BCTX_WEIGHTS_OFFSET) {
    report->Fail("weights: kind %d is none", blob.weights);
  }
  const std::vector<std::string> keys = ListOf(backend.compiler->option_keys);
  for (const auto& [key, value] : blob.options) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      report->Fail("option '%s' of the blob is not among option_keys", key.c_str());
    }
  }
  if ((backend.compiler->flags & BCTX_PLUGIN_REPRODUCIBLE) == 0) return;
  if (Compile(backend, *taken.host, taken.target, taken.options).bytes != blob.bytes) {
    report->Fail("the same request gave other bytes, and the plug-in says that it is reproducible");
  }
  const Blob again = Compile(backend, *taken.host, taken.target, blob.options);
  if (again.code != BCTX_OK || again.bytes != blob.bytes || again.options != blob.options) {
    report->Fail("its own option map, handed back, gave another blob (%s)", again.error.message);
  }
}

// FNV-1a: only to see whether two processes made the same.
uint64_t Hash(const std::string& bytes, uint64_t hash) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3U;
  return hash;
}

void ExpectNamed(Report* report, const bctx_error& error, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::string(error.message).find(name) == std::string::npos) {
      report->Fail("the message does not name %s: %s", name.c_str(), error.message);
    }
  }
}

}  // namespace

std::string Taken::Name() const {
  std::string name = host->model().name + " for " + target;
  for (const auto& [key, value] : options) name.append(", " + key + "=").append(value);
  return name;
}

size_t Enough(const Backend& backend) {
  const bool is_fragile =
      ((backend.compiler != nullptr ? backend.compiler->flags : 0) & BCTX_PLUGIN_FRAGILE) != 0 ||
      (backend.driver != nullptr && (backend.driver->flags & BCTX_PLUGIN_FRAGILE) != 0);
  return is_fragile ? 4 : SIZE_MAX;
}

std::vector<Taken> CompileAll(const Backend& backend, Report* report, size_t most) {
  std::vector<Taken> all;
  for (const Model& model : Cases()) {
    std::string reason;
    const Host host(model);
    if (!TakesAll(backend, host, &reason)) continue;
    for (const std::string& target : ListOf(backend.compiler->targets)) {
      for (const Options& options : WeightChoices(backend, host)) {
        if (all.size() == most) return all;
        Taken taken{std::make_unique<Host>(model), target, options, {}};
        taken.blob = Compile(backend, *taken.host, target, options);
        if (taken.blob.code == BCTX_OK) {
          all.push_back(std::move(taken));
          continue;
        }
        // Some compilers make nothing that this machine could not run.
        if (taken.blob.code == BCTX_INCOMPATIBLE && taken.blob.error.message[0] != '\0') continue;
        // Not every backend has every kind of weights.
        if (!options.empty() && taken.blob.code <= BCTX_UNSUPPORTED) continue;
        report->About(taken.Name());
        report->Fail("it offers to take this, and compile says %s", taken.blob.error.message);
      }
    }
  }
  return all;
}

std::vector<Taken> CompileForHere(const Backend& backend, Report* report, size_t most) {
  std::vector<Taken> here;
  for (Taken& taken : CompileAll(backend, report, most)) {
    const Kernel kernel(backend, *taken.host, taken.blob);
    report->About(taken.Name());
    if (kernel.code == BCTX_OK) {
      here.push_back(std::move(taken));
    } else {
      ExpectCode(report, kernel.code, BCTX_INCOMPATIBLE, kernel.error.error);
    }
  }
  return here;
}

void CheckOffer(const Backend& backend, Report* report) {
  const bctx_plugin* table = backend.With(&bctx_plugin::offer);
  if (table == nullptr) return report->Skip("the backend takes recognised attention only");
  size_t whole = 0;
  for (const Model& model : Cases()) {
    const Host host(model);
    report->About(model.name);
    const Offered offered = Ask(*table, host, report);
    if (!(Ask(*table, host, report) == offered)) report->Fail("two calls differ");
    std::string reason;
    const bool takes = TakesAll(backend, host, &reason);
    if (!takes) report->Note("%s: not taken, %s", model.name.c_str(), reason.c_str());
    whole += takes ? 1 : 0;
  }
  report->About(StrangeCase().name);
  Ask(*table, Host(StrangeCase()), report);
  report->Note("takes %zu of %zu models", whole, Cases().size());
}

void CheckCompile(const Backend& backend, Report* report) {
  if (backend.compiler == nullptr) return report->Skip("no compiler was named");
  const std::vector<Taken> all = CompileAll(backend, report, Enough(backend));
  if (all.empty()) return report->Skip("it takes none of the models");
  uint64_t hash = 0xcbf29ce484222325U;
  for (const Taken& taken : all) {
    CheckBlob(backend, taken, report);
    hash = Hash(taken.blob.bytes, hash);
  }
  report->Note("%zu blobs", all.size());
  // Compared with that of another process.
  if ((backend.compiler->flags & BCTX_PLUGIN_REPRODUCIBLE) != 0) report->Same(hash);
}

void CheckRequests(const Backend& backend, Report* report) {
  if (backend.compiler == nullptr) return report->Skip("no compiler was named");
  const std::vector<std::string> targets = ListOf(backend.compiler->targets);
  const Host strange(StrangeCase());
  report->About("a partition with an operator that nobody knows");
  const Blob unknown = Compile(backend, strange, targets.at(0));
  ExpectCode(report, unknown.code, BCTX_UNSUPPORTED, unknown.error);
  const std::vector<Taken> all = CompileAll(backend, report, 1);
  if (all.empty()) return;
  const Host& host = *all.front().host;
  report->About("an unknown target");
  const Blob target = Compile(backend, host, "no-such-target");
  ExpectCode(report, target.code, BCTX_INVALID_ARGUMENT, target.error);
  ExpectNamed(report, target.error, targets);
  report->About("an unknown option");
  const Blob option = Compile(backend, host, targets[0], {{"no-such-option", "1"}});
  ExpectCode(report, option.code, BCTX_INVALID_ARGUMENT, option.error);
  ExpectNamed(report, option.error, ListOf(backend.compiler->option_keys));
  for (const std::string& key : ListOf(backend.compiler->option_keys)) {
    // Any text may be a value of some option; control characters and endless ones may not crash.
    for (const std::string& value : {std::string(), std::string("\x01"), std::string(5000, '9')}) {
      const Blob odd = Compile(backend, host, targets[0], {{key, value}});
      report->About("option " + key + " of an odd value");
      if (odd.code != BCTX_OK && odd.error.message[0] == '\0') report->Fail("it said nothing");
    }
  }
}

void CheckThreads(const Backend& backend, Report* report) {
  if (backend.compiler == nullptr) return report->Skip("no compiler was named");
  const std::vector<Taken> all = CompileAll(backend, report, Enough(backend));
  if (all.empty()) return report->Skip("it takes none of the models");
  const bool is_reproducible = (backend.compiler->flags & BCTX_PLUGIN_REPRODUCIBLE) != 0;
  std::vector<Blob> made(4 * std::min<size_t>(all.size(), 8));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < made.size(); i += 4) {
        const Taken& taken = all[i / 4];
        made[i] = Compile(backend, *taken.host, taken.target, taken.options);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < made.size(); ++i) {
    report->About(all[i / 4].Name());
    ExpectCode(report, made[i].code, BCTX_OK, made[i].error);
    if (is_reproducible && made[i].bytes != all[i / 4].blob.bytes) {
      report->Fail("compiled by several threads at once it gave other bytes");
    }
  }
  report->Note("%zu blobs by 4 threads at once", made.size());
}

}  // namespace backendctx::conformance
