// Attention as exporters write it, cut down to one layer. Tests change one thing at a time.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "patterns/attention.h"
#include "patterns/model_text.h"

namespace backendctx::patterns {

// Old BERT exports: scale by a Div of the scores, a finite additive mask, K by one Transpose.
extern const char kOldBert[];
// The legacy exporter's scaled_dot_product_attention: constants are nodes, both sides are scaled by
// the root of a scale that is computed from the shape, the mask is made of -inf.
extern const char kLegacy[];
// The dynamo exporter at opset 18: K transposed through rank 3, a guard against NaN.
extern const char kDynamo[];
// The same with a cache, and K and V repeated for each group of heads.
extern const char kGrouped[];
// The Attention operator, 4-D with Transposes around it, and 3-D.
extern const char kOperator4[];
extern const char kOperator3[];

// Batched products of rank 3 with the heads in the batch, a mask on scores of rank 4.
extern const char kJoined[];
// Einsum, a softmax written out, heads repeated by Tile, causality computed inside.
extern const char kWrittenOut[];

// `text` with its one occurrence of `from` replaced.
std::string Edit(const std::string& text, const std::string& from, const std::string& to);

AttentionReport Find(const std::string& text);
// The only region of a model in which nothing was left.
Attention FindOne(const std::string& text);
// Why the only candidate of a model was not taken.
std::string WhyNot(const std::string& text);

std::vector<std::string> Ops(const std::string& text, const Attention& found);

}  // namespace backendctx::patterns
