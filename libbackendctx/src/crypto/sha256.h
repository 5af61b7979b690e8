// SHA-256 (FIPS 180-4).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "backendctx/digest.h"
#include "backendctx/export.h"

namespace backendctx::crypto {

BCTX_API Digest Sha256(std::span<const uint8_t> bytes);
Digest Sha256(std::string_view bytes);

// The digest of bytes that arrive in pieces. Not copyable; one thread at a time.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  ~Sha256Stream();

  void Update(std::span<const uint8_t> bytes);
  void Update(std::string_view bytes);
  // The digest of everything so far; the stream starts anew.
  Digest Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backendctx::crypto
