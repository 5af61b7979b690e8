// The signatures' bytes <-> crypto::Envelope. crypto::Verify says what an envelope is worth.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "backendctx/status.h"
#include "crypto/dsse.h"

namespace backendctx::manifest {

inline constexpr uint64_t kEnvelopeBytes = 64 << 10;

std::string EncodeEnvelope(const crypto::Envelope& envelope);
// Malformed for what is no envelope, ResourceExhausted for one of more than `limit` bytes. An
// envelope without signatures parses here and is refused by crypto::Verify.
Result<crypto::Envelope> ParseEnvelope(std::span<const uint8_t> bytes,
                                       uint64_t limit = kEnvelopeBytes);

}  // namespace backendctx::manifest
