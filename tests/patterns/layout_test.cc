#include "patterns/layout.h"

#include <catch2/catch.hpp>

namespace backendctx::patterns {
namespace {

using Axes = std::array<int, 4>;

Fact Shaped(std::vector<Expr> dims) {
  Fact fact;
  fact.ranked = true;
  fact.dims = std::move(dims);
  return fact;
}

struct Sizes {
  Symbols symbols;
  Expr b = symbols.Dimension("b", true), s = symbols.Dimension("s", true);
  Expr times(const Expr& x, const Expr& y) { return symbols.Multiply(x, y); }
};

const std::vector<Role> kPlain = {kBatch, kHead, kSequence, kChannel};
const std::vector<Role> kSwapped = {kBatch, kHead, kChannel, kSequence};

TEST_CASE("polynomials divide exactly or not at all", "[patterns][expr]") {
  Sizes z;
  const Expr sum = z.symbols.Add(z.b, z.s);
  const Expr product = z.times(z.times(sum, Expr(12)), z.s);
  CHECK(ExactQuotient(product, z.times(Expr(4), z.s)) == z.times(Expr(3), sum));
  CHECK(ExactQuotient(product, sum) == z.times(Expr(12), z.s));
  CHECK_FALSE(ExactQuotient(product, z.b));
  CHECK_FALSE(ExactQuotient(product, Expr(5)));
  CHECK_FALSE(ExactQuotient(product, Expr(0)));
  CHECK_FALSE(Product(Expr(INT64_MAX), Expr(2)));
  CHECK_FALSE(Sum(Expr(INT64_MAX), Expr(1)));
}

TEST_CASE("equal computations are equal, unequal ones are not proved to be", "[patterns][expr]") {
  Sizes z;
  CHECK(z.symbols.Same(z.symbols.Quotient(z.b, z.s), z.symbols.Quotient(z.b, z.s)));
  CHECK_FALSE(z.symbols.Same(z.symbols.Quotient(z.b, z.s), z.symbols.Quotient(z.s, z.b)));
  CHECK_FALSE(z.symbols.Same(z.b, z.s));
  CHECK_FALSE(z.symbols.Same(z.symbols.Fresh(), z.symbols.Fresh()));
}

TEST_CASE("what a product demands is assumed of unknown sizes, never of named ones",
          "[patterns][expr]") {
  Sizes z;
  const Expr unknown = z.symbols.Fresh();
  z.symbols.Assume(unknown, z.times(z.b, Expr(2)));
  CHECK(z.symbols.Same(z.symbols.Add(unknown, z.b), z.times(z.b, Expr(3))));
  z.symbols.Assume(z.b, z.s);
  CHECK_FALSE(z.symbols.Same(z.b, z.s));
  const Expr other = z.symbols.Fresh();
  z.symbols.Assume(other, Expr(32));
  CHECK_FALSE(z.symbols.Same(other, Expr(32)));
}

TEST_CASE("a broadcast keeps what it is made of once", "[patterns][expr]") {
  Sizes z;
  const Expr both = z.symbols.Broadcast(z.b, z.s);
  CHECK(z.symbols.Same(z.symbols.Broadcast(z.s, both), both));
  CHECK(z.symbols.Broadcast(z.b, Expr(1)) == z.b);
  CHECK(z.symbols.Broadcast(z.b, Expr(7)) == Expr(7));
  const Expr slice = z.symbols.AtMost(z.s, "slice of 512");
  CHECK(z.symbols.Broadcast(slice, z.s) == z.s);
  CHECK_FALSE(z.symbols.Same(slice, z.s));
}

TEST_CASE("K is followed back through its rank-3 detour", "[patterns][layout]") {
  Sizes z;
  const Expr h(12), d(32);
  auto layout = Layout::Of(Shaped({z.b, h, d, z.s}), kSwapped);
  REQUIRE(layout);
  CHECK(layout->Axes(4) == Axes{0, 1, 3, 2});
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({z.times(z.b, h), d, z.s})));
  CHECK_FALSE(layout->Axes(4));
  REQUIRE(layout->BackOverTranspose({0, 2, 1}));
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({z.b, h, z.s, d})));
  CHECK(layout->Axes(4) == Axes{0, 1, 2, 3});
  REQUIRE(layout->BackOverTranspose({0, 2, 1, 3}));
  CHECK(layout->Axes(4) == Axes{0, 2, 1, 3});
}

TEST_CASE("a Reshape that only reinterprets is not followed", "[patterns][layout]") {
  Sizes z;
  auto layout = Layout::Of(Shaped({z.b, Expr(12), Expr(32), z.s}), kSwapped);
  CHECK_FALSE(layout->BackOverReshape(z.symbols, Shaped({z.b, Expr(12), z.s, Expr(32)})));
}

TEST_CASE("axes that a Reshape splits are no operand until they are one again",
          "[patterns][layout]") {
  Sizes z;
  auto layout = Layout::Of(Shaped({z.b, Expr(8), z.s, Expr(32)}), kPlain);
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({z.b, Expr(2), Expr(4), z.s, Expr(32)})));
  CHECK_FALSE(layout->Axes(4));
  auto merged = *layout;
  REQUIRE(merged.BackOverReshape(z.symbols, Shaped({z.b, Expr(8), z.s, Expr(32)})));
  CHECK(merged.Axes(4) == Axes{0, 1, 2, 3});
  // (2, 4) swapped to (4, 2): the heads are in another order.
  REQUIRE(layout->BackOverTranspose({0, 2, 1, 3, 4}));
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({z.b, Expr(8), z.s, Expr(32)})));
  CHECK_FALSE(layout->Axes(4));
}

TEST_CASE("heads repeated for a group leave the kv heads, when they are consecutive",
          "[patterns][layout]") {
  Sizes z;
  auto layout = Layout::Of(Shaped({z.b, Expr(8), z.s, Expr(32)}), kPlain);
  const Fact wide = Shaped({z.b, Expr(2), Expr(4), z.s, Expr(32)});
  REQUIRE(layout->BackOverReshape(z.symbols, wide));
  auto outer = *layout;
  REQUIRE(layout->BackOverExpand(z.symbols, Shaped({z.b, Expr(2), Expr(1), z.s, Expr(32)}), wide));
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({z.b, Expr(2), z.s, Expr(32)})));
  CHECK(layout->Axes(4) == Axes{0, 1, 2, 3});
  CHECK(layout->Size(kHead, &z.symbols) == Expr(2));
  REQUIRE(outer.BackOverExpand(z.symbols, Shaped({z.b, Expr(1), Expr(4), z.s, Expr(32)}), wide));
  REQUIRE(outer.BackOverReshape(z.symbols, Shaped({z.b, Expr(4), z.s, Expr(32)})));
  CHECK_FALSE(outer.Axes(4));
}

TEST_CASE("a repeated batch is not followed", "[patterns][layout]") {
  Sizes z;
  const Fact wide = Shaped({z.b, Expr(8), z.s, Expr(32)});
  auto layout = Layout::Of(wide, kPlain);
  CHECK_FALSE(layout->BackOverExpand(z.symbols, Shaped({Expr(1), Expr(8), z.s, Expr(32)}), wide));
}

TEST_CASE("axes of size 1 take whatever is left", "[patterns][layout]") {
  Sizes z;
  auto layout = Layout::Of(Shaped({Expr(1), Expr(4), z.s, Expr(16)}), kPlain);
  REQUIRE(layout->BackOverReshape(z.symbols, Shaped({Expr(4), z.s, Expr(1), Expr(16)})));
  CHECK(layout->Axes(4) == Axes{2, 0, 1, 3});
}

}  // namespace
}  // namespace backendctx::patterns
