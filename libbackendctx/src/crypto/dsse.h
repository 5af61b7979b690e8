// Signatures over a manifest: a DSSE envelope (github.com/secure-systems-lab/dsse, protocol 1.0.2)
// with a detached payload, as plain structs. manifest/envelope.h turns it into bytes and back.
//
// What is signed is the pre-authentication encoding of payload type and payload, so that a
// signature over one kind of bytes never serves as one over another.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backendctx/status.h"
#include "backendctx/trust.h"

namespace backendctx::crypto {

inline constexpr std::string_view kManifestPayloadType =
    "application/vnd.backendctx.manifest.v0+protobuf";
inline constexpr std::string_view kAlgorithm = "ed25519";
inline constexpr size_t kMaxSignatures = 64;

struct EnvelopeSignature {
  std::string key_id;      // PublicKey::Id of public_key
  std::string algorithm;   // kAlgorithm
  std::string signature;   // 64 bytes
  std::string public_key;  // 32 bytes
};

struct Envelope {
  std::string payload_type;
  std::vector<EnvelopeSignature> signatures;  // at least one
};

// "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload
std::string PreAuthEncoding(std::string_view payload_type, std::string_view payload);

// Adds a signature by `key` over a manifest's bytes; one by the same key is replaced. Signatures
// are kept sorted by key id.
Status AddSignature(const SigningKey& key, std::string_view manifest, Envelope* envelope);

enum class SignatureState { kTrusted, kUnknownKey, kInvalid };
struct JudgedSignature {
  std::string key_id;
  SignatureState state = SignatureState::kInvalid;
};

// One state for each signature. An envelope that says nothing is an error and never "unsigned":
// Malformed without signatures, for another payload type, for a key id that is not the key's, for a
// key that signs twice; UnsupportedVersion for an unknown algorithm.
Result<std::vector<JudgedSignature>> Judge(const Envelope& envelope, std::string_view payload,
                                           std::span<const PublicKey> trusted);
// The same, and Corrupt where a signature does not verify, by a known or an unknown key.
Result<std::vector<JudgedSignature>> Verify(const Envelope& envelope, std::string_view payload,
                                            std::span<const PublicKey> trusted);

}  // namespace backendctx::crypto
