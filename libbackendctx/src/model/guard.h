// The edge of this folder: ONNX, protobuf and the standard library throw, callers never see it.
// Internal to model.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "backendctx/status.h"

namespace backendctx::model {

// What `body` returns (a Status or a Result), or the Status that its exception stands for.
template <typename Body>
auto Guarded(const char* doing, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kResourceExhausted, std::string(doing) + ": out of memory");
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, std::string(doing) + ": " + error.what());
  }
}

}  // namespace backendctx::model
