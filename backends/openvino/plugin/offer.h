// Which nodes of a graph this backend takes: any of them, in as few partitions as are legal.
#pragma once

#include "common/outcome.h"

namespace backendctx::openvino {

Outcome MakeOffer(const bctx_offer_request& request, bctx_offer* offer);
void ReleaseOffer(bctx_offer* offer);

}  // namespace backendctx::openvino
