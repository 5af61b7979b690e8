// Inside manifest only: the name of a field, put together when a message is made and not before.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

#include "backendctx/status.h"

namespace backendctx::manifest {

class Field {
 public:
  explicit Field(const char* name) : name_(name) {}
  Field(const Field& parent, const char* name) : parent_(&parent), name_(name) {}
  Field(const char* name, size_t index) : name_(name), index_(index) {}
  Field(const Field& parent, const char* name, size_t index)
      : parent_(&parent), name_(name), index_(index) {}

  std::string Name() const {
    std::string name = parent_ != nullptr ? parent_->Name() + "." : std::string();
    name += name_;
    if (index_) name += fmt::format("[{}]", *index_);
    return name;
  }

  Status Bad(std::string found, std::string expected,
             StatusCode code = StatusCode::kMalformed) const {
    std::string field = Name();
    std::string message = fmt::format("{}: found {}, expected {}", field, found, expected);
    return {
        code,
        std::move(message),
        {.field = std::move(field), .found = std::move(found), .expected = std::move(expected)}};
  }

 private:
  const Field* parent_ = nullptr;  // parents live on the caller's stack
  const char* name_;
  std::optional<size_t> index_;
};

}  // namespace backendctx::manifest
