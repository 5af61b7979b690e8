#include "plugin/offer.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/options.h"
#include "plugin/operators.h"

namespace backendctx::openvino {
namespace {

// Everything that a bctx_offer points to.
struct OwnedOffer {
  std::vector<size_t> nodes;
  bctx_claim claim{};
  std::deque<std::string> reasons;
  std::vector<bctx_refusal> refusals;
};

}  // namespace

Outcome MakeOffer(const bctx_offer_request& request, bctx_offer* offer) {
  if (request.struct_size < sizeof(bctx_offer_request) || request.graph == nullptr ||
      request.graph->struct_size < sizeof(bctx_graph) || offer->struct_size < sizeof(bctx_offer)) {
    return Invalid("the offer's request is shorter than this plug-in expects");
  }
  Options options;
  BCTX_RETURN_UNLESS_OK(Options::Parse(request.options, request.option_count, false, &options));
  const NodeJudge judge(*request.graph);
  auto owned = std::make_unique<OwnedOffer>();
  for (size_t i = 0; i < request.graph->node_count; ++i) {
    std::string why = judge.WhyRefused(i);
    if (why.empty()) {
      owned->nodes.push_back(i);
    } else {
      owned->reasons.push_back(std::move(why));
      owned->refusals.push_back({i, owned->reasons.back().c_str()});
    }
  }
  owned->claim = {owned->nodes.data(), owned->nodes.size(), 0};
  offer->claims = &owned->claim;
  offer->claim_count = owned->nodes.empty() ? 0 : 1;
  offer->refusals = owned->refusals.data();
  offer->refusal_count = owned->refusals.size();
  offer->plugin = owned.release();
  return {};
}

void ReleaseOffer(bctx_offer* offer) {
  if (offer == nullptr || offer->plugin == nullptr) return;
  delete static_cast<OwnedOffer*>(offer->plugin);
  const uint32_t size = offer->struct_size;
  *offer = bctx_offer{};
  offer->struct_size = size;
}

}  // namespace backendctx::openvino
