#include "crypto/sha256.h"

#include <catch2/catch.hpp>
#include <string>

using backendctx::crypto::Sha256;
using backendctx::crypto::Sha256Stream;

TEST_CASE("SHA-256 gives the values of FIPS 180-4", "[crypto]") {
  CHECK(Sha256("").Hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256("abc").Hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").Hex() ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("a digest of pieces is the digest of the whole, and the stream starts anew", "[crypto]") {
  Sha256Stream stream;
  stream.Update("a");
  stream.Update("");
  stream.Update("bc");
  CHECK(stream.Finish() == Sha256("abc"));
  CHECK(stream.Finish() == Sha256(""));
  stream.Update("abc");
  Sha256Stream moved = std::move(stream);
  CHECK(moved.Finish() == Sha256("abc"));
}
