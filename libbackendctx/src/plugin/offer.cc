// What a backend can take, copied out once it was found to be of the graph that it was shown.
#include <fmt/format.h>

#include <algorithm>

#include "plugin/plugin.h"
#include "plugin/table.h"

namespace backendctx::plugin {
namespace {

constexpr size_t kMaxReason = 500;

class HeldOffer {
 public:
  explicit HeldOffer(const bctx_plugin& table) : table_(table) {
    offer.struct_size = sizeof(offer);
  }
  HeldOffer(const HeldOffer&) = delete;
  HeldOffer& operator=(const HeldOffer&) = delete;
  ~HeldOffer() {
    if (!is_made) return;
    try {
      table_.release_offer(&offer);
    } catch (...) {  // NOLINT: what it said was copied; there is nobody to tell
    }
  }

  bctx_offer offer{};
  bool is_made = false;

 private:
  const bctx_plugin& table_;
};

class Copier {
 public:
  explicit Copier(size_t node_count) : taken_(node_count, false) {}

  Result<Offer> Copy(const bctx_offer& from) {
    // Every claim has a node of its own, so there are no more of them than nodes.
    BCTX_RETURN_IF_ERROR(CheckCount(from.claims, from.claim_count, "claims"));
    BCTX_RETURN_IF_ERROR(CheckCount(from.refusals, from.refusal_count, "refusals"));
    Offer offer;
    for (size_t i = 0; i < from.claim_count; ++i) {
      BCTX_ASSIGN_OR_RETURN(Claim claim, CopyClaim(from.claims[i], i));
      offer.claims.push_back(std::move(claim));
    }
    for (size_t i = 0; i < from.refusal_count; ++i) {
      const bctx_refusal& refusal = from.refusals[i];
      std::string reason;
      if (refusal.node >= taken_.size()) return NotOffered("refusal", i, refusal.node);
      if (!ReadText(refusal.reason, kMaxReason, &reason) || reason.empty()) {
        return Broken(fmt::format("refusal {}: expected a short reason", i));
      }
      offer.refusals.emplace_back(refusal.node, std::move(reason));
    }
    return offer;
  }

 private:
  Status CheckCount(const void* list, size_t count, const char* member) const {
    if (count > taken_.size()) {
      return Broken(fmt::format("{}: found {} of them for {} nodes", member, count, taken_.size()));
    }
    if (count != 0 && list == nullptr) {
      return Broken(fmt::format("{}: {} promised, none delivered", member, count));
    }
    return OkStatus();
  }

  Status NotOffered(const char* member, size_t i, size_t node) const {
    return Broken(
        fmt::format("{} {}: names node {}, and {} were offered", member, i, node, taken_.size()));
  }

  Result<Claim> CopyClaim(const bctx_claim& from, size_t i) {
    BCTX_RETURN_IF_ERROR(CheckCount(from.nodes, from.node_count, "nodes of a claim"));
    if (from.node_count == 0) return Broken(fmt::format("claim {}: has no node", i));
    Claim claim{{from.nodes, from.nodes + from.node_count}, from.whole != 0};
    for (const size_t node : claim.nodes) {
      if (node >= taken_.size()) return NotOffered("claim", i, node);
      if (taken_[node]) return Broken(fmt::format("claim {}: node {} is claimed twice", i, node));
      taken_[node] = true;
    }
    std::sort(claim.nodes.begin(), claim.nodes.end());
    return claim;
  }

  std::vector<bool> taken_;
};

}  // namespace

Result<Offer> AskOffer(const Plugin& plugin, const bctx_offer_request& request) {
  const bctx_plugin& table = plugin.table();
  if (table.offer == nullptr) {
    return Status(StatusCode::kUnimplemented,
                  fmt::format("{}: takes recognised attention only", plugin.backend()));
  }
  HeldOffer held(table);
  BCTX_RETURN_IF_ERROR(Guarded(plugin.backend(), "offer", [&](bctx_error* error) {
    return table.offer(&request, &held.offer, error);
  }));
  held.is_made = true;
  Result<Offer> offer = Copier(request.graph->node_count).Copy(held.offer);
  if (!offer) return offer.status().WithContext(plugin.backend() + ": offer");
  return offer;
}

}  // namespace backendctx::plugin
