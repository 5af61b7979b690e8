#include <backendctx/digest.h>
#include <backendctx/trust.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "support/scratch.h"

using namespace backendctx;  // NOLINT: tests read better without
using crypto::Envelope;
using crypto::SignatureState;
using test::Scratch;

namespace {

// RFC 8032, section 7.1, test 2.
constexpr char kSeed[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
constexpr char kPublic[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr char kSigned[] =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

crypto::RawKey Raw(const std::string& hex) {
  const auto bytes = Digest::FromHex(hex);
  REQUIRE(bytes);
  return bytes->bytes;
}

Envelope Signed(const SigningKey& key, const std::string& payload) {
  Envelope envelope;
  REQUIRE(crypto::AddSignature(key, payload, &envelope).ok());
  return envelope;
}

StatusCode CodeOf(const Envelope& envelope, const std::string& payload) {
  return crypto::Verify(envelope, payload, {}).status().code();
}

void Put(const std::string& path, const std::string& bytes) {
  REQUIRE(os::WriteFile(path, bytes, os::AtomicFile::kReplace).ok());
}

}  // namespace

TEST_CASE("Ed25519 gives the values of RFC 8032", "[crypto]") {
  const std::string seed = *base::FromHex(kSeed);
  CHECK(*crypto::PublicFromSeed(base::AsBytes(seed)) == Raw(kPublic));
  const auto signature = crypto::SignEd25519(base::AsBytes(seed), "\x72");
  REQUIRE(signature);
  CHECK(base::Hex(base::AsBytes(*signature)) == kSigned);
  CHECK(crypto::VerifyEd25519(Raw(kPublic), "\x72", *signature));
  CHECK_FALSE(crypto::VerifyEd25519(Raw(kPublic), "\x73", *signature));
  CHECK_FALSE(crypto::VerifyEd25519(Raw(kPublic), "\x72", signature->substr(0, 63)));
  CHECK_FALSE(crypto::VerifyEd25519(Raw(kPublic), "\x72", ""));
}

TEST_CASE("a key survives its files, which are private and never replaced", "[crypto]") {
  const Scratch scratch;
  const auto key = SigningKey::Generate();
  REQUIRE(key);
  REQUIRE(key->Save(scratch / "k", "someone@example").ok());
  struct stat info{};
  REQUIRE(stat((scratch / "k").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);

  const auto loaded = SigningKey::Load(scratch / "k");
  REQUIRE(loaded);
  CHECK(loaded->Public().bytes == key->Public().bytes);
  const auto trusted = LoadTrustedKeys({scratch / "k.pub"});
  REQUIRE(trusted);
  REQUIRE(trusted->size() == 1);
  CHECK(trusted->front().bytes == key->Public().bytes);
  CHECK(trusted->front().comment == "someone@example");

  CHECK(key->Save(scratch / "k", "").code() == StatusCode::kIo);
  std::filesystem::remove(scratch / "k");
  CHECK(key->Save(scratch / "k", "").code() == StatusCode::kIo);
  CHECK_FALSE(os::Exists(scratch / "k"));
}

TEST_CASE("two generated keys differ, and the id is of the public key", "[crypto]") {
  const auto a = SigningKey::Generate(), b = SigningKey::Generate();
  CHECK(a->Public().bytes != b->Public().bytes);
  CHECK(a->Public().Id().size() == 16);
  CHECK(a->Public().Id() != b->Public().Id());
}

TEST_CASE("what is no private Ed25519 key is malformed and named", "[crypto][hostile]") {
  const Scratch scratch;
  Put(scratch / "k", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  const auto key = SigningKey::Load(scratch / "k");
  REQUIRE_FALSE(key);
  CHECK(key.error().code() == StatusCode::kMalformed);
  CHECK(key.error().detail().file == scratch / "k");
  CHECK(SigningKey::FromPem("").error().code() == StatusCode::kMalformed);
  CHECK(SigningKey::FromPem(std::string(1 << 20, 'x')).error().code() == StatusCode::kMalformed);
}

TEST_CASE("a public key that is not one clean line is malformed", "[crypto][hostile]") {
  const auto key = SigningKey::Generate();
  const std::string good = FormatPublicKey(key->Public());
  REQUIRE(ParsePublicKey(good));
  CHECK(ParsePublicKey(good + " a comment of words\n")->comment == "a comment of words");
  for (const std::string& bad :
       {std::string(), "ssh-ed25519 " + good.substr(19), good.substr(0, good.size() - 1),
        good + "A", good + "\n" + good, good + "\r\n", std::string("backendctx-ed25519 AAAA x")}) {
    INFO(bad);
    const auto parsed = ParsePublicKey(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == StatusCode::kMalformed);
  }
}

TEST_CASE("trust comes from files and folders, sorted, each key once", "[crypto]") {
  const Scratch scratch;
  const auto a = SigningKey::Generate(), b = SigningKey::Generate();
  std::filesystem::create_directory(scratch / "d");
  Put(scratch / "d/2.pub", FormatPublicKey(a->Public()) + "\n");
  Put(scratch / "d/1.pub", "# comment\n\n" + FormatPublicKey(b->Public()) + "\n");
  Put(scratch / "d/readme.txt", "no key");
  const auto keys = LoadTrustedKeys({scratch / "d", scratch / "d/2.pub", scratch / "missing"});
  REQUIRE(keys);
  REQUIRE(keys->size() == 2);
  CHECK((*keys)[0].bytes == b->Public().bytes);
  CHECK((*keys)[1].bytes == a->Public().bytes);
}

TEST_CASE("a trust file that does not parse is an error with file and line", "[crypto][hostile]") {
  const Scratch scratch;
  const auto key = SigningKey::Generate();
  Put(scratch / "1.pub", FormatPublicKey(key->Public()) + "\nrubbish\n");
  const auto keys = LoadTrustedKeys({scratch.path().string()});
  REQUIRE_FALSE(keys);
  CHECK(keys.error().code() == StatusCode::kMalformed);
  CHECK(keys.error().detail().file == scratch / "1.pub");
  CHECK(keys.error().message().find("line 2") != std::string::npos);
  Put(scratch / "1.pub", "");
  CHECK(LoadTrustedKeys({scratch / "1.pub"}).error().code() == StatusCode::kMalformed);
  CHECK(LoadTrustedKeys({scratch / "2.pub"}).error().code() == StatusCode::kIo);
}

TEST_CASE("the pre-authentication encoding is that of the DSSE specification", "[crypto]") {
  CHECK(crypto::PreAuthEncoding("http://example.com/HelloWorld", "hello world") ==
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST_CASE("a signature is trusted, or by an unknown key, as the caller's list says", "[crypto]") {
  const auto a = SigningKey::Generate(), b = SigningKey::Generate();
  Envelope envelope = Signed(*a, "manifest");
  REQUIRE(crypto::AddSignature(*b, "manifest", &envelope).ok());
  REQUIRE(crypto::AddSignature(*a, "manifest", &envelope).ok());
  REQUIRE(envelope.signatures.size() == 2);
  CHECK(envelope.signatures[0].key_id < envelope.signatures[1].key_id);
  const std::vector<PublicKey> trusted{a->Public()};
  const auto judged = crypto::Verify(envelope, "manifest", trusted);
  REQUIRE(judged);
  for (const auto& one : *judged) {
    CHECK(one.state == (one.key_id == a->Public().Id() ? SignatureState::kTrusted
                                                       : SignatureState::kUnknownKey));
  }
}

TEST_CASE("a signature over other bytes or by another key is corrupt", "[crypto][hostile]") {
  const auto a = SigningKey::Generate(), b = SigningKey::Generate();
  Envelope envelope = Signed(*a, "manifest");
  CHECK(CodeOf(envelope, "manifest") == StatusCode::kOk);
  CHECK(CodeOf(envelope, "manifesu") == StatusCode::kCorrupt);
  const auto judged = crypto::Judge(envelope, "manifesu", {});
  CHECK(judged->front().state == SignatureState::kInvalid);

  SECTION("every bit of the signature") {
    for (size_t bit = 0; bit < 512; ++bit) {
      Envelope flipped = envelope;
      flipped.signatures[0].signature[bit / 8] ^= static_cast<char>(1 << bit % 8);
      CHECK(CodeOf(flipped, "manifest") == StatusCode::kCorrupt);
    }
  }
  SECTION("one good and one bad signature") {
    REQUIRE(crypto::AddSignature(*b, "other", &envelope).ok());
    CHECK(CodeOf(envelope, "manifest") == StatusCode::kCorrupt);
  }
  SECTION("the key of somebody else, with his id") {
    envelope.signatures[0].public_key = base::AsText(b->Public().bytes);
    envelope.signatures[0].key_id = b->Public().Id();
    CHECK(CodeOf(envelope, "manifest") == StatusCode::kCorrupt);
  }
}

TEST_CASE("an envelope that says nothing is an error and never unsigned", "[crypto][hostile]") {
  const auto key = SigningKey::Generate();
  const Envelope good = Signed(*key, "manifest");
  REQUIRE(CodeOf(good, "manifest") == StatusCode::kOk);
  Envelope bad = good;
  SECTION("no signature") {
    bad.signatures.clear();
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
  SECTION("too many signatures") {
    bad.signatures.resize(65, good.signatures[0]);
    CHECK(CodeOf(bad, "manifest") == StatusCode::kResourceExhausted);
  }
  SECTION("another payload type") {
    bad.payload_type = "application/vnd.in-toto+json";
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
  SECTION("an unknown algorithm") {
    bad.signatures[0].algorithm = "none";
    CHECK(CodeOf(bad, "manifest") == StatusCode::kUnsupportedVersion);
  }
  SECTION("no algorithm") {
    bad.signatures[0].algorithm = "";
    CHECK(CodeOf(bad, "manifest") == StatusCode::kUnsupportedVersion);
  }
  SECTION("an id that is not the key's") {
    bad.signatures[0].key_id = std::string(16, '0');
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
  SECTION("a short key") {
    bad.signatures[0].public_key.pop_back();
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
  SECTION("a short signature") {
    bad.signatures[0].signature.pop_back();
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
  SECTION("a key that signs twice") {
    bad.signatures.push_back(bad.signatures[0]);
    CHECK(CodeOf(bad, "manifest") == StatusCode::kMalformed);
  }
}

TEST_CASE("a signature over another payload type does not serve for a manifest",
          "[crypto][hostile]") {
  const auto key = SigningKey::Generate();
  Envelope envelope = Signed(*key, "manifest");
  envelope.signatures[0].signature =
      *key->Sign(crypto::PreAuthEncoding("application/vnd.in-toto+json", "manifest"));
  CHECK(CodeOf(envelope, "manifest") == StatusCode::kCorrupt);
}
