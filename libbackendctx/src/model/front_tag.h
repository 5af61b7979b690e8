// The model metadata property that makes a model a front. Internal to model.
#pragma once

#include <string>

#include "backendctx/status.h"
#include "model/front.h"

namespace backendctx::model {

std::string EncodeTag(const FrontTag& tag);
// Malformed: no JSON object of these members, or one of a wrong form. Members that a later encoder
// may add are left alone.
Result<FrontTag> ParseTag(const std::string& text);

}  // namespace backendctx::model
