#include "crypto/sha256.h"

#include <openssl/evp.h>

#include <new>

namespace backendctx::crypto {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Fetched once: looking an algorithm up by name costs more than hashing a kilobyte. Never freed,
// so that it outlives every stream.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = [] {
    const EVP_MD* fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return fetched != nullptr ? fetched : EVP_sha256();
  }();
  return algorithm;
}

// OpenSSL fails here only without memory or without its SHA-256: nothing sound can follow.
void Require(int result) {
  if (result != 1) throw std::bad_alloc();
}

}  // namespace

struct Sha256Stream::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  Impl() {
    Require(context != nullptr ? 1 : 0);
    Require(EVP_DigestInit_ex2(context, Algorithm(), nullptr));
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {}
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::span<const uint8_t> bytes) {
  Require(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()));
}

void Sha256Stream::Update(std::string_view bytes) { Update(Bytes(bytes)); }

Digest Sha256Stream::Finish() {
  Digest digest;
  Require(EVP_DigestFinal_ex(impl_->context, digest.bytes.data(), nullptr));
  Require(EVP_DigestInit_ex2(impl_->context, Algorithm(), nullptr));
  return digest;
}

Digest Sha256(std::span<const uint8_t> bytes) {
  Digest digest;
  Require(
      EVP_Digest(bytes.data(), bytes.size(), digest.bytes.data(), nullptr, Algorithm(), nullptr));
  return digest;
}

Digest Sha256(std::string_view bytes) { return Sha256(Bytes(bytes)); }

}  // namespace backendctx::crypto
