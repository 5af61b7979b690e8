#include "weights/sharing.h"

#include <catch2/catch.hpp>

namespace backendctx::weights {
namespace {

TensorUse Use(uint8_t name, uint64_t size) {
  TensorUse use;
  use.digest.bytes[0] = name;
  use.size = size;
  return use;
}

TEST_CASE("equal tensors are stored once and the saving is counted", "[weights]") {
  const Sharing sharing = ShareEqual({Use(2, 400), Use(1, 256), Use(2, 400), Use(2, 400)});
  REQUIRE(sharing.stored.size() == 2);
  CHECK(sharing.stored[0].digest == Use(1, 0).digest);  // by digest, whatever the order of use
  CHECK(sharing.summary.tensors == 4);
  CHECK(sharing.summary.logical_bytes == 1456);
  CHECK(sharing.summary.stored_bytes == 656);
  CHECK(sharing.summary.saved_equal == 800);
}

TEST_CASE("a model without tensors shares nothing", "[weights]") {
  const Sharing sharing = ShareEqual({});
  CHECK(sharing.stored.empty());
  CHECK(sharing.summary.logical_bytes == 0);
}

}  // namespace
}  // namespace backendctx::weights
