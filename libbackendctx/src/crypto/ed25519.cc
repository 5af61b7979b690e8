#include "crypto/ed25519.h"

#include <openssl/err.h>

#include "base/bytes.h"
#include "crypto/openssl.h"

namespace backendctx::crypto {
namespace {

// OpenSSL keeps its reasons in a queue of the thread; nobody but us would empty it.
Status Refused(const char* doing) {
  ERR_clear_error();
  return {StatusCode::kInternal, std::string("OpenSSL refused to ") + doing};
}

KeyPtr PrivateKey(std::span<const uint8_t> seed) {
  return KeyPtr(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
}

}  // namespace

Result<std::string> SignEd25519(std::span<const uint8_t> seed, std::string_view message) {
  const KeyPtr key = PrivateKey(seed);
  const ContextPtr context(EVP_MD_CTX_new());
  std::string signature(kSignatureSize, '\0');
  size_t size = signature.size();
  const base::ByteView bytes = base::AsBytes(message);
  if (!key || !context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size,
                     bytes.data(), bytes.size()) != 1 ||
      size != kSignatureSize) {
    return Refused("sign");
  }
  return signature;
}

bool VerifyEd25519(const RawKey& public_key, std::string_view message, std::string_view signature) {
  if (signature.size() != kSignatureSize) return false;
  const KeyPtr key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const ContextPtr context(EVP_MD_CTX_new());
  const base::ByteView bytes = base::AsBytes(message);
  const bool valid =
      key && context &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), base::AsBytes(signature).data(), signature.size(),
                       bytes.data(), bytes.size()) == 1;
  if (!valid) ERR_clear_error();
  return valid;
}

Result<RawKey> PublicFromSeed(std::span<const uint8_t> seed) {
  const KeyPtr key = PrivateKey(seed);
  RawKey raw{};
  size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1 ||
      size != raw.size()) {
    return Refused("derive the public key");
  }
  return raw;
}

}  // namespace backendctx::crypto
