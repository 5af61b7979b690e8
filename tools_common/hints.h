// What a user can do about a failure.
//
// Threads: plain functions.
#pragma once

#include <backendctx/status.h>

#include <string>

namespace backendctx::tools {

// One line, or nothing where the message itself says what to do or nothing general can be said. A
// hint must hold for every failure that it is given to: it is chosen by the code and, where one
// code has several causes, by the field that the failure names.
std::string NextStep(const Status& status);

}  // namespace backendctx::tools
