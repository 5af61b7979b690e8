// Models of the tests are written in ONNX's own text form.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "model/graph_view_builder.h"
#include "onnx/defs/parser.h"

namespace backendctx::patterns {

inline onnx::ModelProto ParseModel(const std::string& text) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser::Parse(model, text.c_str());
  INFO(status.ErrorMessage());
  REQUIRE(status.IsOK());
  return model;
}

inline model::ModelView ViewOf(const onnx::ModelProto& proto) {
  Result<model::ModelView> view = model::BuildView(proto);
  INFO((view ? std::string() : view.error().message()));
  REQUIRE(view.has_value());
  return std::move(view).value();
}

inline model::ModelView ViewOf(const std::string& text) { return ViewOf(ParseModel(text)); }

}  // namespace backendctx::patterns
