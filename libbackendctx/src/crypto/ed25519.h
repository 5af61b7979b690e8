// Ed25519 (RFC 8032, pure) on raw keys. Keys and their files are in <backendctx/trust.h>.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "backendctx/status.h"

namespace backendctx::crypto {

using RawKey = std::array<uint8_t, 32>;
inline constexpr size_t kSignatureSize = 64;

Result<std::string> SignEd25519(std::span<const uint8_t> seed, std::string_view message);
// False also for a signature of another length or with a scalar out of range.
bool VerifyEd25519(const RawKey& public_key, std::string_view message, std::string_view signature);
Result<RawKey> PublicFromSeed(std::span<const uint8_t> seed);

}  // namespace backendctx::crypto
