// The model metadata property that makes a model a front. For this folder, and for a
// runtime that is handed a front without its file.
#pragma once

#include <string>

#include "backendctx/export.h"
#include "backendctx/status.h"
#include "model/front.h"

namespace backendctx::model {

std::string EncodeTag(const FrontTag& tag);
// Malformed: no JSON object of these members, or one of a wrong form. Members that a later encoder
// may add are left alone.
BCTX_API Result<FrontTag> ParseTag(const std::string& text);

}  // namespace backendctx::model
