// Keys, and whom a caller trusts.
//
// A package is signed with Ed25519 (RFC 8032) in a DSSE envelope; the signature covers the
// manifest, and the manifest covers everything else by digest. The library takes explicit keys
// only; tools and the provider look into trust folders and hand the keys in.
//
//   auto keys = LoadTrustedKeys({"/etc/backendctx/trust.d"});
//
// Threads: plain values; functions have no shared state.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backendctx/export.h"
#include "backendctx/status.h"

namespace backendctx {

struct PublicKey {
  std::array<uint8_t, 32> bytes{};
  std::string comment;              // for people; never decides anything
  BCTX_API std::string Id() const;  // first 16 hex digits of the SHA-256 of `bytes`
};

// A private key stays in memory of this type and is wiped when it goes.
class SigningKey {
 public:
  BCTX_API static Result<SigningKey> Generate();
  BCTX_API static Result<SigningKey> Load(const std::string& path);  // PEM, PKCS #8
  BCTX_API static Result<SigningKey> FromPem(const std::string& pem);
  // Writes PATH (mode 0600) and PATH.pub; refuses to replace either.
  BCTX_API Status Save(const std::string& path, const std::string& comment) const;
  BCTX_API PublicKey Public() const;
  BCTX_API Result<std::string> Sign(const std::string& message) const;  // 64 bytes
  BCTX_API ~SigningKey();
  BCTX_API SigningKey(SigningKey&&) noexcept;
  BCTX_API SigningKey& operator=(SigningKey&&) noexcept;

 private:
  SigningKey();
  std::string seed_;  // 32 bytes
};

// One line: "backendctx-ed25519 BASE64 COMMENT".
BCTX_API std::string FormatPublicKey(const PublicKey& key);
BCTX_API Result<PublicKey> ParsePublicKey(const std::string& text);

// The keys in files, and in all *.pub files of folders, sorted; a missing folder is an empty list,
// a file that does not parse is Malformed and named.
BCTX_API Result<std::vector<PublicKey>> LoadTrustedKeys(const std::vector<std::string>& paths);

}  // namespace backendctx
