#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "backendctx/trust.h"
#include "base/bytes.h"
#include "base/os/file.h"
#include "crypto/ed25519.h"
#include "crypto/openssl.h"

namespace backendctx {
namespace {

constexpr size_t kSeedSize = 32;
constexpr uint64_t kKeyFileLimit = 64 << 10;

// Text or bytes of a private key, overwritten when they go.
class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(text_.data(), text_.size()); }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

uint8_t* Data(std::string& bytes) { return reinterpret_cast<uint8_t*>(bytes.data()); }

// An encrypted key fails here instead of asking on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

Status NotAKey(const char* found) {
  ERR_clear_error();
  return {StatusCode::kMalformed,
          fmt::format("found {}, expected an unencrypted PEM (PKCS #8) Ed25519 private key", found),
          {.field = "private key", .found = found, .expected = "an Ed25519 private key in PEM"}};
}

Result<std::string> ToPem(const std::string& seed) {
  const crypto::KeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                                        base::AsBytes(seed).data(), seed.size()));
  const crypto::BioPtr bio(BIO_new(BIO_s_secmem()));
  char* data = nullptr;
  if (!key || !bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    ERR_clear_error();
    return Status(StatusCode::kInternal, "OpenSSL refused to write the key");
  }
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

SigningKey::SigningKey() : seed_(kSeedSize, '\0') {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&& other) noexcept {
  std::swap(seed_, other.seed_);
  return *this;
}
SigningKey::~SigningKey() { OPENSSL_cleanse(seed_.data(), seed_.size()); }

Result<SigningKey> SigningKey::Generate() {
  SigningKey key;
  if (RAND_priv_bytes(Data(key.seed_), static_cast<int>(kSeedSize)) != 1) {
    ERR_clear_error();
    return Status(StatusCode::kInternal, "OpenSSL has no random bytes");
  }
  return key;
}

Result<SigningKey> SigningKey::FromPem(const std::string& pem) {
  if (pem.size() > kKeyFileLimit) return NotAKey("a text of more than 64 KiB");
  const auto has = [&pem](const char* part) { return pem.find(part) != pem.npos; };
  if (pem.starts_with("backendctx-ed25519 ") || has("PUBLIC KEY-----")) {
    return NotAKey("a public key");
  }
  if (has("-----BEGIN ENCRYPTED ")) return NotAKey("an encrypted key");
  if (!has("-----BEGIN ")) return NotAKey("a text that is no PEM");
  const crypto::BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const crypto::KeyPtr parsed(
      bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr) : nullptr);
  if (!parsed) return NotAKey("something else");
  if (EVP_PKEY_get_id(parsed.get()) != EVP_PKEY_ED25519) return NotAKey("a key of another kind");
  SigningKey key;
  size_t size = kSeedSize;
  if (EVP_PKEY_get_raw_private_key(parsed.get(), Data(key.seed_), &size) != 1 ||
      size != kSeedSize) {
    return NotAKey("a key without its private part");
  }
  return key;
}

Result<SigningKey> SigningKey::Load(const std::string& path) {
  BCTX_ASSIGN_OR_RETURN(std::string text, os::ReadFile(path, kKeyFileLimit));
  Secret pem(std::move(text));
  Result<SigningKey> key = FromPem(pem.text());
  if (!key) return key.status().InFile(path);
  return key;
}

Status SigningKey::Save(const std::string& path, const std::string& comment) const {
  PublicKey key = Public();
  key.comment = comment;
  BCTX_ASSIGN_OR_RETURN(std::string text, ToPem(seed_));
  Secret pem(std::move(text));
  using os::AtomicFile;
  // The public file is prepared first, so that a failure leaves neither.
  BCTX_ASSIGN_OR_RETURN(AtomicFile pub, AtomicFile::Create(path + ".pub", AtomicFile::kMustBeNew));
  BCTX_RETURN_IF_ERROR(pub.Write(FormatPublicKey(key) + "\n"));
  BCTX_RETURN_IF_ERROR(os::WriteFile(path, pem.text(), AtomicFile::kMustBeNew, 0600));
  const Status status = pub.Commit();
  if (!status.ok()) (void)os::RemoveFile(path);
  return status;
}

PublicKey SigningKey::Public() const {
  PublicKey key;
  // A seed of 32 bytes always has a public key; OpenSSL fails only without memory.
  if (auto raw = crypto::PublicFromSeed(base::AsBytes(seed_))) key.bytes = *raw;
  return key;
}

Result<std::string> SigningKey::Sign(const std::string& message) const {
  return crypto::SignEd25519(base::AsBytes(seed_), message);
}

}  // namespace backendctx
