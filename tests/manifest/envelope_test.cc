#include "manifest/envelope.h"

#include <catch2/catch.hpp>

#include "base/bytes.h"

using namespace backendctx;  // NOLINT: tests read better without
using namespace std::string_literals;

namespace {

crypto::Envelope Signed(const SigningKey& key, const std::string& payload) {
  crypto::Envelope envelope;
  REQUIRE(crypto::AddSignature(key, payload, &envelope).ok());
  return envelope;
}

StatusCode CodeOf(const std::string& bytes, const std::string& payload = "manifest") {
  const auto envelope = manifest::ParseEnvelope(base::AsBytes(bytes));
  if (!envelope) return envelope.error().code();
  return crypto::Verify(*envelope, payload, {}).status().code();
}

}  // namespace

TEST_CASE("an envelope survives its bytes and still verifies", "[manifest]") {
  const auto key = SigningKey::Generate();
  const std::string bytes = manifest::EncodeEnvelope(Signed(*key, "manifest"));
  const auto envelope = manifest::ParseEnvelope(base::AsBytes(bytes));
  REQUIRE(envelope);
  REQUIRE(envelope->signatures.size() == 1);
  CHECK(envelope->payload_type == crypto::kManifestPayloadType);
  CHECK(manifest::EncodeEnvelope(*envelope) == bytes);
  const std::vector<PublicKey> trusted{key->Public()};
  CHECK(crypto::Verify(*envelope, "manifest", trusted)->front().state ==
        crypto::SignatureState::kTrusted);
}

TEST_CASE("signatures that do not parse are malformed and never none", "[manifest][hostile]") {
  const auto key = SigningKey::Generate();
  const std::string good = manifest::EncodeEnvelope(Signed(*key, "manifest"));
  REQUIRE(CodeOf(good) == StatusCode::kOk);
  CHECK(CodeOf("") == StatusCode::kMalformed);
  CHECK(CodeOf("rubbish") == StatusCode::kMalformed);
  CHECK(CodeOf("{\"payloadType\": \"x\"}") == StatusCode::kMalformed);
  CHECK(CodeOf(good + good) == StatusCode::kMalformed);
  CHECK(CodeOf(good.substr(0, good.size() - 1)) == StatusCode::kMalformed);
  // An empty list of signatures.
  CHECK(CodeOf("\x0a\x2f"s + std::string(crypto::kManifestPayloadType)) == StatusCode::kMalformed);
}

TEST_CASE("every cut and every flipped bit of an envelope is an error", "[manifest][hostile]") {
  const auto key = SigningKey::Generate();
  const std::string good = manifest::EncodeEnvelope(Signed(*key, "manifest"));
  for (size_t size = 0; size < good.size(); ++size) {
    INFO(size);
    REQUIRE(CodeOf(good.substr(0, size)) == StatusCode::kMalformed);
  }
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const StatusCode code = CodeOf(bytes);
    INFO(bit);
    REQUIRE((code == StatusCode::kMalformed || code == StatusCode::kCorrupt ||
             code == StatusCode::kUnsupportedVersion));
  }
}

TEST_CASE("an envelope over the limit is refused by its size alone", "[manifest][hostile]") {
  CHECK(CodeOf(std::string(manifest::kEnvelopeBytes + 1, 'x')) == StatusCode::kResourceExhausted);
}
